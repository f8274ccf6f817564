"""All kinds of populations, by the name that scenarios call them."""

from __future__ import annotations

from bench.detection import (
    benign_machines,
    benign_people,
    benign_products,
    harvest_content,
    harvest_evasive,
    harvest_relays,
    harvest_surfaces,
    harvest_volume,
)
from bench.detection.setting import Kind

HARVEST: dict[str, Kind] = {
    "loud_key": harvest_volume.loud_key,
    "round_robin": harvest_volume.round_robin,
    "hydra": harvest_volume.hydra,
    "relay": harvest_relays.relay,
    "list_crawl": harvest_content.list_crawl,
    "reasoning": harvest_content.reasoning,
    "logit_probing": harvest_surfaces.logit_probing,
    "batch_api": harvest_surfaces.batch_api,
    "embeddings": harvest_surfaces.embeddings,
    "evasive": harvest_evasive.evasive,
}
BENIGN: dict[str, Kind] = {
    "consumer_chat": benign_people.consumer_chat,
    "popular_app": benign_people.popular_app,
    "classroom": benign_people.classroom,
    "keen_users": benign_people.keen_users,
    "smoke_tests": benign_people.smoke_tests,
    "support_bots": benign_products.support_bots,
    "rag": benign_products.rag,
    "multi_tenant": benign_products.multi_tenant,
    "gateway": benign_products.gateway,
    "key_pool": benign_products.key_pool,
    "coding_agents": benign_machines.coding_agents,
    "eval_harness": benign_machines.eval_harness,
    "batch_classification": benign_machines.batch_classification,
    "retry_storm": benign_machines.retry_storm,
}
KINDS = HARVEST | BENIGN
