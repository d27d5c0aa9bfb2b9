#!/usr/bin/env bash
# A real S3 server for tests: one Ceph monitor, one object store in memory, one gateway.
#
#   rgw.sh FOLDER GATEWAY_PORT MONITOR_PORT      all on 127.0.0.1; user test, testtest
set -euo pipefail

folder=$1 gateway=$2 monitor=$3
keys=$folder/keyring
conf=$folder/ceph.conf

rm -rf "$folder"
mkdir -p "$folder"/{mon.a,osd.0,rgw,log,asok}
fsid=$(cat /proc/sys/kernel/random/uuid)
cat > "$conf" <<CONF
[global]
fsid = $fsid
keyring = $keys
mon host = [v2:127.0.0.1:$monitor,v1:127.0.0.1:$((monitor + 1))]
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd crush chooseleaf type = 0
osd objectstore = memstore
memstore device bytes = 2147483648
mon allow pool size one = true
mon max pg per osd = 1000
mon data avail warn = 1
mon data avail crit = 0
admin socket = $folder/asok/\$name.asok
log file = $folder/log/\$name.log
pid file = $folder/\$name.pid
public addr = 127.0.0.1
cluster addr = 127.0.0.1
rgw frontends = beast endpoint=127.0.0.1:$gateway
rgw data = $folder/rgw
rgw run sync thread = false
[mon.a]
mon data = $folder/mon.a
[osd.0]
osd data = $folder/osd.0
CONF

ceph-authtool --create-keyring "$keys" --gen-key -n mon. --cap mon 'allow *' > /dev/null
for name in client.admin client.rgw.a osd.0; do
  ceph-authtool "$keys" --gen-key -n "$name" --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
done
monmaptool --create --fsid "$fsid" --addv a "[v2:127.0.0.1:$monitor,v1:127.0.0.1:$((monitor + 1))]" "$folder/monmap" > /dev/null
ceph-mon --mkfs -i a --monmap "$folder/monmap" --keyring "$keys" -c "$conf"
ceph-mon -i a -c "$conf"
ceph -c "$conf" osd new "$(cat /proc/sys/kernel/random/uuid)" > /dev/null
ceph-osd -i 0 -c "$conf" --mkfs --osd-uuid "$(ceph -c "$conf" osd dump -f json | python3 -c 'import json, sys; print(json.load(sys.stdin)["osds"][0]["uuid"])')" 2> /dev/null
ceph-osd -i 0 -c "$conf" 2> /dev/null
radosgw -n client.rgw.a -c "$conf"
for _ in $(seq 300); do
  (exec 3<> "/dev/tcp/127.0.0.1/$gateway") 2> /dev/null && break
  sleep 0.1
done
radosgw-admin -c "$conf" user create --uid=test --display-name=test \
  --access-key=test --secret-key=testtest > /dev/null 2>&1
