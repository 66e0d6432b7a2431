"""The command `zapwright`: starts, shows and examines what the other packages do."""
