/** For a guest's shell: what a machine leaves on its disk, and an ssh-keygen that says what it was asked for. */
export const fakeOfAnother = `mkdir -p /etc/ssh /usr/bin /var/lib/systemd
echo old > /etc/ssh/ssh_host_rsa_key; echo old public > /etc/ssh/ssh_host_rsa_key.pub
echo old > /etc/ssh/ssh_host_dsa_key; echo old > /var/lib/systemd/random-seed
cat > /usr/bin/ssh-keygen <<'EOF'
#!/bin/sh
while [ $# -gt 0 ]; do case $1 in -t) kind=$2;; -C) comment=$2;; -f) file=$2;; esac; shift; done
echo "private $kind $comment" > $file; echo "public $kind $comment" > $file.pub
EOF
chmod +x /usr/bin/ssh-keygen`
