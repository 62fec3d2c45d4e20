"""Speak a text, write down a recording, and draw a picture."""

import base64
import tempfile
from pathlib import Path

from omnillm import GatewayBuilder, KeyConfig
from omnillm.testing import LocalProvider


def main() -> None:
    """Turn a text into a file, the file into a text with times, and the text into a picture."""
    with LocalProvider() as provider, tempfile.TemporaryDirectory() as folder:
        gateway = (
            GatewayBuilder(provider.endpoint("chat_completions"))  # in life: ProviderEndpoint.openai_chat_completions()
            .add_key(KeyConfig("sk-example"))
            .build()
        )
        with gateway:
            speech = gateway.speak("The red fox sleeps", model="gpt-4o-mini-tts", voice="alloy", response_format="wav")
            recording = Path(folder) / "fox.wav"
            recording.write_bytes(speech.audio)
            print(f"{speech.media_type}: {len(speech.audio)} bytes")

            heard = gateway.transcribe(
                recording, model="whisper-1", response_format="verbose_json", timestamp_granularities=["word"]
            )
            print(heard.text, [(word.word, word.start) for word in heard.words])
            print(gateway.transcribe(recording, model="whisper-1", response_format="srt"))

            drawn = gateway.generate_images(heard.text, model="gpt-image-1", size="1024x1024")
            print("picture:", base64.b64decode(drawn.data[0].b64_json or "")[1:4].decode())


if __name__ == "__main__":
    main()
