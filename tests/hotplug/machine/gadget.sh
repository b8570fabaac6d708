#!/bin/sh
# Runs in the test machine: USB boards that QEMU has no model of, made by the machine's own kernel
# (dummy_hcd: a controller and a device back to back; configfs: what the device is).
#
#   gadget.sh ready N                       N such controllers, each with one port
#   gadget.sh plug SLOT VID PID SERIAL FUNCTION...
#       acm        a CDC-ACM serial port
#       loopback   a vendor-specific interface
#   gadget.sh unplug SLOT
set -e
tree=/sys/kernel/config/usb_gadget
case $1 in
ready)
  modprobe dummy_hcd num="$2" is_high_speed=1
  for module in libcomposite usb_f_acm usb_f_ss_lb; do modprobe $module; done
  [ -d $tree ] || mount -t configfs configfs /sys/kernel/config
  ;;
plug)
  slot=$2 vendor=$3 product=$4 serial=$5
  shift 5
  mkdir "$tree/slot$slot"
  cd "$tree/slot$slot"
  echo "0x$vendor" >idVendor
  echo "0x$product" >idProduct
  mkdir strings/0x409 configs/c.1
  printf '%s' "$serial" >strings/0x409/serialnumber
  printf 'Test board' >strings/0x409/product
  count=0
  for function in "$@"; do
    count=$((count + 1))
    case $function in
    acm) name=acm.$slot$count ;;
    loopback) name=Loopback.$slot$count ;;
    *) echo "no function $function" >&2; exit 2 ;;
    esac
    mkdir "functions/$name"
    ln -s "functions/$name" configs/c.1/
  done
  echo "dummy_udc.$slot" >UDC
  ;;
unplug)
  cd "$tree/slot$2"
  echo >UDC
  rm configs/c.1/*.*
  rmdir configs/c.1 functions/* strings/0x409
  cd ..
  rmdir "slot$2"
  ;;
*) exit 2 ;;
esac
