"""How each service is, asked of the services themselves."""

import asyncio

import grpc.aio

from ensemble.core.services import SERVICE_NAMES
from ensemble.gateway.ports import Peers
from ensemble.v1 import node_service_pb2, node_service_pb2_grpc

_PATIENCE = 1.0
"""Seconds to wait for one service."""


async def take(channels: Peers) -> list[node_service_pb2.ServiceStatus]:
    """Return one row for each service behind the gateway, all asked at once."""
    return list(
        await asyncio.gather(*(_ask(channels, name) for name in SERVICE_NAMES if name != "gateway"))
    )


async def _ask(channels: Peers, name: str) -> node_service_pb2.ServiceStatus:
    row = node_service_pb2.ServiceStatus(
        name=name,
        state=node_service_pb2.SERVICE_STATE_UNREACHABLE,
        address=channels.address_of(name),
        transport=channels.transport_of(name),
    )
    try:
        stub = node_service_pb2_grpc.NodeServiceStub(channels.get(name))
        answer = await stub.DescribeNode(node_service_pb2.DescribeNodeRequest(), timeout=_PATIENCE)
    except grpc.aio.AioRpcError as error:
        row.detail = f"it does not answer ({error.code().name.lower()})"
        return row
    for service in answer.services:
        if service.name == name:
            row.state = service.state
            row.engines.extend(service.engines)
            row.detail = service.detail
            row.version = service.version
    return row
