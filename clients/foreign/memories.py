"""Has mem0 keep a dozen memories and give them out again: memories.py FOLDER. The models that it asks are made here."""

import hashlib
import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FOLDER = Path(sys.argv[1])
DIMENSIONS = 16
# Before mem0 is loaded: it would tell its maker, and keep its own things in the home folder.
os.environ.update(MEM0_TELEMETRY="False", MEM0_DIR=str(FOLDER / "mem0"))
# basic-memory brings it, into the same place; mem0 would have it fetch a model. By itself, mem0 does without.
sys.modules["fastembed"] = None


def vector(text: str) -> list[float]:
    return [byte / 255 for byte in hashlib.sha256(text.encode()).digest()[:DIMENSIONS]]


def completion() -> dict:
    facts = {"memory": [{"id": "0", "text": "Keeps bees behind the boathouse", "attributed_to": "user"}]}
    message = {"role": "assistant", "content": json.dumps(facts)}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    choices = [{"index": 0, "finish_reason": "stop", "message": message}]
    return {"id": "1", "object": "chat.completion", "created": 1, "model": "made", "choices": choices, "usage": usage}


def embeddings(texts: str | list[str]) -> dict:
    each = [texts] if isinstance(texts, str) else texts
    vectors = [{"object": "embedding", "index": at, "embedding": vector(text)} for at, text in enumerate(each)]
    return {"object": "list", "model": "made", "data": vectors, "usage": {"prompt_tokens": 1, "total_tokens": 1}}


class Models(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        answer = embeddings(asked["input"]) if self.path.endswith("/embeddings") else completion()
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


models = ThreadingHTTPServer(("127.0.0.1", 0), Models)
threading.Thread(target=models.serve_forever, daemon=True).start()
asks = {"openai_base_url": f"http://127.0.0.1:{models.server_port}/v1", "api_key": "none"}

from mem0 import Memory  # noqa: E402

kept = {"path": str(FOLDER / "qdrant"), "embedding_model_dims": DIMENSIONS, "on_disk": True}
memory = Memory.from_config(
    {
        "vector_store": {"provider": "qdrant", "config": kept},
        "embedder": {"provider": "openai", "config": {**asks, "embedding_dims": DIMENSIONS}},
        "llm": {"provider": "openai", "config": asks},
        "history_db_path": str(FOLDER / "history.db"),
    }
)


def add(messages: str | list[dict], **more: object) -> str:
    return memory.add(messages, **{"user_id": "ana", "infer": False, **more})["results"][0]["id"]


def write(name: str, answer: object) -> None:
    (FOLDER / name).write_text(json.dumps(answer, indent=2, ensure_ascii=False), encoding="utf-8")


tea = add("Drinks tea, never coffee", metadata={"category": "food", "tags": ["habit", "drink"], "cups": 3})
asked = [
    {"role": "user", "content": "Where do you dock?", "name": "Mara"},
    {"role": "assistant", "content": 'At the east pier: "berth 7" – Ærø 島 🐝'},
]
add(asked, agent_id="harbour-bot", run_id="run-1")
gone = add("The boat is called Heron")
add("The gate code is 1234", expiration_date="2020-01-01")
add("Meets the vet in May", expiration_date="2099-01-01", metadata={"categories": ["health"], "vet": {"at": [1, None]}})
add("Rows on Sundays\n\n# Boats\n\ttwo of them", metadata={"topic": "boats"})
add("The tide table hangs in the hall. " * 200)
add([{"role": "user", "content": "I keep bees"}], infer=True, metadata={"topic": "bees"})
add("drinks tea, never coffee", user_id="bo")
add("Drinks tea, never coffee", user_id="bo")
add("Answers in short sentences", user_id=None, agent_id="harbour-bot")
memory.update(tea, text="Drinks tea, and coffee on Sundays")
memory.delete(gone)

write("ana.json", memory.get_all(filters={"user_id": "ana"}, top_k=1000))
write("agent.json", memory.get_all(filters={"agent_id": "harbour-bot"}, top_k=1000))
write("bo.json", memory.get_all(filters={"user_id": "bo"}, top_k=1000))
write("found.json", memory.search("what does ana drink", filters={"user_id": "ana"}, threshold=0, top_k=1000))
write("one.json", memory.get(tea))
write("history.json", memory.history(tea))
memory.close()
