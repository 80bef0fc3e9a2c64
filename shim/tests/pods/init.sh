# The first process of a node's namespaces: makes them a machine, and buries who dies in it. The machine's /run is not
# to be seen, since containerd and its shims meet there.
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/lock
ip link set lo up
echo ready
trap 'exit 0' TERM
set +e
while :; do
    sleep 1000 &
    wait
done
