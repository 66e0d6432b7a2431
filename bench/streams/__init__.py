"""Many pages that follow their sessions at one API process."""
