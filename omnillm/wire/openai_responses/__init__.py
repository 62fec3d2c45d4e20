from . import request as rq, response as rs, error as er
from ...types.enums import WireFormat
from .._codec import Codec
CODEC = Codec(wire_format=WireFormat.OPENAI_RESPONSES, parse_request=rq.parse_request, emit_request=rq.emit_request, parse_response=rs.parse_response, emit_response=rs.emit_response, parse_error=er.parse_error, emit_error=er.emit_error, embedded_error=er.embedded_error, stream_decoder=__import__("importlib").import_module(__name__+".stream").Decoder, stream_encoder=None, parse_event=None, emit_event=None, ask_for_usage=rq.ask_for_usage, path=rq.path, headers={})
