"""A stand-in for the server of Weights & Biases, as far as a run needs one: it keeps runs, and what they send."""

import gzip
import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

PLACE = {"id": "p", "name": "mrlspk", "entity": {"id": "e", "name": "someone"}}
WHO = {"id": "u", "entity": "someone", "username": "someone", "flags": "{}", "teams": {"edges": []}}


@dataclass
class KeptRun:
    """What the server knows of a run: its configuration, its rows in order, its summary."""

    config: str = "{}"
    rows: list[str] = field(default_factory=list)
    summary: str = "{}"
    exit_codes: list[int] = field(default_factory=list)


class Requests(BaseHTTPRequestHandler):
    """Answers a client as the server would, where a run depends on the answer."""

    def do_POST(self):
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = json.loads(gzip.decompress(raw) if self.headers.get("Content-Encoding") == "gzip" else raw)
        if self.path.endswith("/file_stream"):
            self._keep(self.server.runs[self.path.split("/")[-2]], body)
            self._answer({})
        else:
            self._answer({"data": self._data(body["query"], body.get("variables") or {})})

    def do_PUT(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))  # a file of the run, which nobody asks for
        self._answer({})

    def _keep(self, run, body):
        """Take rows at the place that the client says they have."""
        files = body.get("files") or {}
        if history := files.get("wandb-history.jsonl"):
            run.rows[history["offset"] :] = history["content"]
        if summary := files.get("wandb-summary.json"):
            run.summary = summary["content"][-1]
        if body.get("complete"):
            run.exit_codes.append(body["exitcode"])

    def _data(self, query, variables):
        runs = self.server.runs
        if "upsertBucket" in query:
            is_new = variables["name"] not in runs
            run = runs.setdefault(variables["name"], KeptRun())
            run.config = variables.get("config") or run.config
            return {"upsertBucket": {"bucket": self._described(variables["name"], run), "inserted": is_new}}
        if "historyTail" in query:
            run = runs.get(variables["name"])
            return {"model": None if run is None else PLACE | {"bucket": self._described(variables["name"], run)}}
        if "createRunFiles" in query:
            address = f"http://{self.headers['Host']}/files/"
            files = [{"name": name, "uploadUrl": address + name} for name in variables["files"]]
            return {"createRunFiles": {"runID": variables["run"], "uploadHeaders": [], "files": files}}
        if "ServerFeaturesQuery" in query:
            return {"serverInfo": {"features": []}}
        return {"viewer": WHO, "serverInfo": {}} if "viewer" in query else None

    def _described(self, run_id, run):
        counts = {"historyLineCount": len(run.rows), "eventsLineCount": 0, "logLineCount": 0}
        tails = {"historyTail": json.dumps(run.rows[-1:]), "eventsTail": "[]", "summaryMetrics": run.summary}
        names = {"id": run_id, "name": run_id, "displayName": run_id, "project": PLACE, "tags": []}
        return names | counts | tails | {"config": run.config, "wandbConfig": json.dumps({"t": 1})}

    def _answer(self, answer):
        text = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_arguments):
        """Say nothing."""


@contextmanager
def wandb_server():
    """Give the address of a server on this machine, and the runs that it keeps, by id."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Requests)
    server.runs = {}
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", server.runs
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
