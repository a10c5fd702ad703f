"""The official Python client: client.py stdio|http|sse TARGET..."""

import asyncio
import json
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client


async def exercise(session: ClientSession) -> None:
    await session.initialize()
    tools = (await session.list_tools()).tools
    body = '{"content":"The heron host runs staging"}'
    stored = await session.call_tool("mimir_remember", {"category": "client", "key": "a", "body_json": body})
    found = await session.call_tool("mimir_recall", {"query": "heron"})
    refused = await session.call_tool("mimir_remember", {"category": "client"})
    structured = found.structured_content
    print(
        json.dumps(
            {
                "tools": len(tools),
                "action": stored.structured_content["action"],
                "keys": [item["key"] for item in structured["items"]],
                "same": json.loads(found.content[0].text)["total"] == structured["total"],
                "refused": refused.is_error is True,
            }
        )
    )


async def main(kind: str, *target: str) -> None:
    if kind == "stdio":
        transport = stdio_client(StdioServerParameters(command=target[0], args=list(target[1:])))
    elif kind == "sse":
        transport = sse_client(target[0])
    else:
        transport = streamable_http_client(target[0])
    async with transport as streams:
        async with ClientSession(streams[0], streams[1]) as session:
            await exercise(session)


asyncio.run(main(*sys.argv[1:]))
