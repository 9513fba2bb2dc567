"""GetCallerIdentity of AWS's STS, which the local Lex answers beside its own operations.

Source: the service model in botocore (sts, 2011-06-15): a form in, XML out.
"""

import uuid
from urllib.parse import parse_qs

from lexbridge.offline.lex.wire import Response

LONGEST_QUERY = 4096  # bytes
ACCOUNT, ARN = "000000000000", "arn:aws:iam::000000000000:user/offline"
_NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"


def caller_identity(form: bytes) -> Response:
    """STS's answer to a request: an identity that is made up, whatever the credentials."""
    action = parse_qs(form.decode("latin-1")).get("Action", [""])[0]
    metadata = f"<RequestId>{uuid.uuid4()}</RequestId>"
    if action != "GetCallerIdentity":
        error = "<Type>Sender</Type><Code>InvalidAction</Code><Message>only GetCallerIdentity is here</Message>"
        body = f'<ErrorResponse xmlns="{_NAMESPACE}"><Error>{error}</Error>{metadata}</ErrorResponse>'
        return Response(400, {"Content-Type": "text/xml"}, body.encode())
    result = f"<Arn>{ARN}</Arn><UserId>OFFLINE</UserId><Account>{ACCOUNT}</Account>"
    body = (
        f'<GetCallerIdentityResponse xmlns="{_NAMESPACE}"><GetCallerIdentityResult>{result}</GetCallerIdentityResult>'
        f"<ResponseMetadata>{metadata}</ResponseMetadata></GetCallerIdentityResponse>"
    )
    return Response(200, {"Content-Type": "text/xml"}, body.encode())
