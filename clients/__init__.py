"""Client libraries, and the generator of what they know about the API."""
