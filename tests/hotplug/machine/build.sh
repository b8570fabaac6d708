#!/bin/bash
# build.sh FOLDER: makes the test machine, FOLDER/kernel and FOLDER/initramfs, unless they are there.
#
# All of it is Debian's own, fetched with `apt-get download` and unpacked below FOLDER: nothing is
# installed, nothing needs root. Made again when this file or `init` changes.
set -euo pipefail
folder=$1
here=$(cd "$(dirname "$0")" && pwd)
PATH=$PATH:/usr/sbin:/sbin
mkdir -p "$folder"
cd "$folder"

recipe=$(cat "$here/build.sh" "$here/init" | sha256sum | cut -d' ' -f1)
if [ -s initramfs ] && [ "$(cat recipe 2>/dev/null)" = "$recipe" ]; then exit 0; fi

for tool in apt-get apt-cache dpkg-deb tar cpio depmod modprobe; do
  command -v "$tool" >/dev/null || { echo "build.sh: $tool is missing (Debian: cpio kmod)" >&2; exit 1; }
done

# --- what is in it ---------------------------------------------------------------------------------
kernel=$(apt-cache depends linux-image-amd64 | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n1)
[ -n "$kernel" ] || { echo "build.sh: apt knows no linux-image-amd64; run apt-get update" >&2; exit 1; }
# udevd with the libraries it is linked to, and what a Rust program needs.
packages="busybox-static udev libudev1 libc6 libgcc-s1 libkmod2 libblkid1 libacl1 libcap2 libselinux1
  libpcre2-8-0 liblzma5 libzstd1 libssl3"
modules="virtio_pci 9p 9pnet_virtio xhci_pci uhci_hcd ftdi_sio cdc_acm usbhid
  dummy_hcd libcomposite usb_f_acm usb_f_ss_lb"

# --- fetch -----------------------------------------------------------------------------------------
mkdir -p packages
(
  cd packages
  missing=()
  for package in $kernel $packages; do
    # The newest that can be fetched: what is installed here may have come from elsewhere.
    version=$(apt-cache madison "$package" | awk -F' *[|] *' '/ Packages$/ { print $2; exit }')
    [ -n "$version" ] || { echo "build.sh: apt knows no $package; this needs Debian 12" >&2; exit 1; }
    compgen -G "${package}_${version//:/%3a}_*.deb" >/dev/null || { rm -f "${package}"_*.deb; missing+=("$package=$version"); }
  done
  # Not as the user _apt, who may not write here.
  [ ${#missing[@]} -eq 0 ] || apt-get -q -o APT::Sandbox::User="$(id -un)" -o Acquire::http::Timeout=20 download "${missing[@]}"
)

# --- the root folder -------------------------------------------------------------------------------
rm -rf root boot
mkdir -p root/usr/{bin,sbin,lib,lib64} root/{dev,proc,sys,run,tmp,host,etc,root} boot
for name in bin sbin lib lib64; do ln -s "usr/$name" "root/$name"; done
for package in $packages; do
  dpkg-deb --fsys-tarfile packages/"${package}"_*.deb |
    tar -x -C root --keep-directory-symlink --no-same-owner \
      --exclude=./usr/share --exclude=./usr/lib/x86_64-linux-gnu/gconv --exclude='./*/udev/hwdb.d'
done
for name in $(root/usr/bin/busybox --list); do
  [ -e "root/usr/bin/$name" ] || [ -e "root/usr/sbin/$name" ] || ln -s busybox "root/usr/bin/$name"
done
# Where the kernel looks when a driver is wanted.
[ -e root/usr/sbin/modprobe ] || ln -s ../bin/busybox root/usr/sbin/modprobe

# `operator` may use serial ports, `nobody` may not; udev wants to know every group of its rules.
printf '%s\n' root:x:0:0::/root:/bin/sh operator:x:1000:1000::/tmp:/bin/sh nobody:x:65534:65534::/tmp:/bin/sh \
  >root/etc/passwd
printf '%s\n' root:x:0: tty:x:5: disk:x:6: lp:x:7: kmem:x:15: dialout:x:20:operator cdrom:x:24: tape:x:26: audio:x:29: \
  video:x:44: plugdev:x:46: users:x:100: input:x:101: sgx:x:102: kvm:x:103: render:x:104: operator:x:1000: \
  nogroup:x:65534: >root/etc/group
printf 'passwd: files\ngroup: files\n' >root/etc/nsswitch.conf

# --- the kernel and the few modules it needs ---------------------------------------------------------
dpkg-deb -x packages/"${kernel}"_*.deb boot
version=$(ls boot/lib/modules)
depmod -b boot "$version"
for module in $modules; do
  modprobe -d "$folder/boot" -S "$version" --show-depends "$module" | sed -n 's/^insmod \([^ ]*\).*/\1/p'
done | sort -u | while read -r file; do
  place=root/usr/lib/modules/$version/${file#*"/lib/modules/$version/"}
  mkdir -p "$(dirname "$place")"
  cp "$file" "$place"
done
cp "boot/lib/modules/$version"/modules.{order,builtin,builtin.modinfo} "root/usr/lib/modules/$version/"
depmod -b root "$version"
cp "boot/boot/vmlinuz-$version" kernel

install -m755 "$here/init" root/init
(cd root && find . -print0 | cpio --quiet -0 -o -H newc -R 0:0) >initramfs.new
rm -rf root boot
mv initramfs.new initramfs
echo "$recipe" >recipe
