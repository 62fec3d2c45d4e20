"""Audio: transcription, whose request is a form to upload, and speech, whose answer is bytes."""
