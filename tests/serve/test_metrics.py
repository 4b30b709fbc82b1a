"""What Prometheus is told."""

from __future__ import annotations

from helpers.served import GatedNetwork, client_of, encoded, quick_model
from prometheus_client.parser import text_string_to_metric_families

PNG = {"Content-Type": "image/png"}


def samples(client):
    families = text_string_to_metric_families(client.get("/metrics").text)
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
        if sample.name.startswith("easyseg_")
    }


def test_everything_is_counted():
    with client_of(quick_model(GatedNetwork(batch_size=2)), wait_ms=1) as client:
        client.post("/v1/segment", content=encoded(), headers=PNG)
        client.post("/v1/segment", content=b"bad", headers=PNG)
        client.get("/v1/models/mini")
        client.get("/v1/models/none")
        client.get("/some/path/of/a/scanner")
        told = samples(client)

    def requests(route, method, status):
        labels = {"route": route, "method": method, "status": status}
        return told.get(("easyseg_requests_total", *sorted(labels.items())))

    assert requests("/v1/segment", "POST", "200") == 1
    assert requests("/v1/segment", "POST", "422") == 1
    assert requests("/v1/models/{name}", "GET", "200") == 1
    assert requests("other", "GET", "404") == 1
    assert told["easyseg_request_seconds_count", ("route", "/v1/segment")] == 2
    for stage in ("wait", "decode", "network", "labels", "encode"):
        assert told["easyseg_stage_seconds_count", ("stage", stage)] == 1
    assert told["easyseg_batch_size_count",] == 1
    assert told["easyseg_rejections_total", ("reason", "unknown_format")] == 1
    assert told["easyseg_rejections_total", ("reason", "unknown_model")] == 1
    assert told["easyseg_queue_length",] == 0
    assert told["easyseg_in_flight",] == 1  # this one
    info = next(key for key in told if key[0] == "easyseg_model_info")
    assert ("model", "mini") in info
    assert ("label_set", "voc") in info


def test_two_applications_share_no_counter():
    seg = quick_model()
    with client_of(seg) as one, client_of(seg) as other:
        one.post("/v1/segment", content=encoded(), headers=PNG)
        assert any(key[0] == "easyseg_stage_seconds_count" for key in samples(one))
        assert not any(key[0] == "easyseg_stage_seconds_count" for key in samples(other))
