"""Why a session, or an app, is as it is: facts in, sentences and what to do out."""
