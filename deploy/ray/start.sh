#!/usr/bin/env bash
# Start this machine as the head of a Ray cluster or as a node of one, in the foreground.
#   start.sh head | start.sh node HEAD:6379
# CPUS and MEMORY_MB are what runs may have here, by default all cores and 85 % of the memory.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
VENV=${VENV:-../../.venv}
export PATH="$(cd "$VENV/bin" && pwd):$PATH"
set -a; source "${ENV_FILE:-node.env}"; set +a

medgen compile  # once a version; no run may
CPUS=${CPUS:-$(nproc)}
MEMORY_MB=${MEMORY_MB:-$(awk '/MemTotal/ {print int($2 / 1024 * 0.85)}' /proc/meminfo)}
here=(--block --disable-usage-stats "--num-cpus=$CPUS" "--memory=$((MEMORY_MB * 1024 * 1024))"
  --object-store-memory=80000000)  # runs keep nothing in it

case "${1:-}" in
  # The dashboard takes orders from whoever reaches it: keep it inside your network.
  head) exec ray start --head "${here[@]}" --port=6379 --dashboard-host="${DASHBOARD_HOST:-127.0.0.1}" ;;
  node) exec ray start "${here[@]}" --address="${2:?the address of the head, HEAD:6379}" ;;
  *) echo "usage: start.sh head | start.sh node HEAD:6379" >&2; exit 2 ;;
esac
