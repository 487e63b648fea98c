"""Small seeded input files for `nibai compare`."""

import json

import numpy as np

START = 1_750_000_000.0


def csv(path, seconds, *, start=START, span=100.0, header="timestamp,latency_ms", extra=None):
    """Requests evenly over a span of seconds, latencies in milliseconds."""
    times = start + np.linspace(0, span, len(seconds))
    lines = [header]
    for i, (at, value) in enumerate(zip(times, seconds, strict=True)):
        tail = "" if extra is None else "," + str(extra[i])
        lines.append(f"{at:.6f},{value * 1e3:.6f}{tail}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def latencies(seed, n, median, sigma=0.4):
    return median * np.exp(np.random.default_rng(seed).normal(0, sigma, n))


def vllm(path, seed, n, *, speed=1.0, failed=0, detailed=True):
    """A `vllm bench serve --save-result --save-detailed` file in its documented shape."""
    rng = np.random.default_rng(seed)
    ttfts = (rng.lognormal(-2, 0.3, n) / speed).tolist()
    itls = [(rng.lognormal(-4, 0.2, 10) / speed).tolist() for _ in range(n)]
    document = {
        "date": "20260301-120000", "backend": "vllm", "model_id": "m", "num_prompts": n,
        "request_rate": 4.0, "duration": 100.0, "completed": n - failed,
        "request_throughput": n / 100, "output_throughput": n / 10,
        "total_token_throughput": n / 5, "mean_ttft_ms": 1e3 * float(np.mean(ttfts)),
        "median_ttft_ms": 1e3 * float(np.median(ttfts)), "p99_ttft_ms": 1.0,
    }  # fmt: skip
    if detailed:
        document |= {
            "input_lens": [100] * n, "output_lens": [11] * n, "ttfts": ttfts, "itls": itls,
            "generated_texts": [""] * n, "start_times": np.linspace(5000, 5100, n).tolist(),
            "errors": ["timeout"] * failed + [""] * (n - failed),
        }  # fmt: skip
    path.write_text(json.dumps(document), encoding="utf-8")
    return str(path)


def k6(path, seed, n, *, speed=1.0, failed=0):
    """A `k6 run --out json=FILE` file in its documented shape."""
    rng = np.random.default_rng(seed)
    lines = [
        {"type": "Metric", "metric": "http_req_duration",
         "data": {"name": "http_req_duration", "type": "trend", "contains": "time",
                  "thresholds": [], "submetrics": None}},
    ]  # fmt: skip
    for i in range(n):
        second, micro = divmod(i * 100_000_000 // n, 1_000_000)
        time = f"2026-03-01T12:{second // 60:02d}:{second % 60:02d}.{micro:06d}Z"
        bad = i < failed
        tags = {"expected_response": "false" if bad else "true", "method": "POST",
                "name": "http://host/classify", "scenario": "default",
                "status": "503" if bad else "200", "url": "http://host/classify"}  # fmt: skip
        value = 1e3 * float(rng.lognormal(-2, 0.3)) / speed
        for metric, number in (("http_reqs", 1), ("http_req_duration", value),
                               ("http_req_failed", int(bad))):  # fmt: skip
            data = {"time": time, "value": number, "tags": tags}
            lines.append({"type": "Point", "metric": metric, "data": data})
    path.write_text("\n".join(json.dumps(line) for line in lines) + "\n", encoding="utf-8")
    return str(path)
