from gon._port import Port
from gon.transport.base import Lane, Link
from gon.wire._repeats import Unfolds
from gon.wire.batch import Reply
from gon.wire.session import Session
from gon_server.conversation import Conversation
from gon_server.executor import Executor

class Express:
    def __init__(
        self,
        conversation: Conversation,
        executor: Executor,
        session: Session,
        unfolds: Unfolds,
        port: Port,
    ) -> None: ...
    def converse(self, link: Link, lane: Lane) -> memoryview | None: ...
    def run(self, body: memoryview) -> list[Reply] | None: ...
