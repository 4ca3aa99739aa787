"""Write the graph's shape to `tests/graph/snapshot.json`, where a test compares it and a reviewer reads its diff."""

import json
from typing import Any

import dagster as dg

from resources.profiles import ROOT, stay_embedded

FILE = ROOT / "tests" / "graph" / "snapshot.json"


def describe(definitions: dg.Definitions) -> dict[str, Any]:
    """Return assets, checks, jobs, schedules and sensors as plain data, sorted."""
    graph = definitions.resolve_asset_graph()
    repository = definitions.get_repository_def()
    return {
        "assets": {
            key.to_user_string(): {
                "upstream": sorted(parent.to_user_string() for parent in graph.get(key).parent_keys),
                "group": graph.get(key).group_name,
                "owners": list(graph.get(key).owners),
                "kinds": sorted(graph.get(key).kinds),
                "freshness": _freshness(graph.get(key).freshness_policy),
            }
            for key in sorted(graph.get_all_asset_keys(), key=lambda one: one.to_user_string())
        },
        "checks": {
            f"{key.asset_key.to_user_string()}: {key.name}": {
                "blocking": graph.get_check_spec(key).blocking,
                "owner": str(graph.get_check_spec(key).metadata.get("owner")),
            }
            for key in sorted(graph.asset_check_keys, key=lambda one: one.to_user_string())
        },
        "jobs": {
            job.name: {
                "assets": sorted(key.to_user_string() for key in job.asset_layer.selected_asset_keys),
                "checks": len(job.asset_layer.asset_graph.asset_check_keys),
            }
            for job in sorted(repository.get_all_jobs(), key=lambda one: one.name)
            if not job.name.startswith("__")
        },
        "schedules": {
            schedule.name: {
                "cron": schedule.cron_schedule,
                "time zone": schedule.execution_timezone,
                "job": schedule.job_name,
                "runs by default": schedule.default_status.value,
            }
            for schedule in sorted(repository.schedule_defs, key=lambda one: one.name)
        },
        "sensors": {
            sensor.name: {
                "type": sensor.sensor_type.value,
                "seconds between ticks": sensor.minimum_interval_seconds,
                "runs by default": sensor.default_status.value,
            }
            for sensor in sorted(repository.sensor_defs, key=lambda one: one.name)
        },
    }


def _freshness(policy: Any) -> str | None:
    if policy is None:
        return None
    fail, warn = policy.fail_window, policy.warn_window
    return f"warns after {warn.to_timedelta() if warn else None}, fails after {fail.to_timedelta()}"


def main() -> None:
    """Write the file."""
    stay_embedded()
    from definitions import defs

    FILE.write_text(json.dumps(describe(defs), indent=1) + "\n")
    print(f"wrote {FILE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
