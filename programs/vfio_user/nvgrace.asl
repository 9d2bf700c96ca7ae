// SPDX-License-Identifier: GPL-2.0-only
// The device memory of the GPUs behind the first four root ports of a VM, and of the device behind
// the fifth, for the sample vfio_pci_devmem. scripts/test/nvgrace.sh
// reserves the guest's memory from 1 GiB on for it. Integers have 32 bits, because QEMU's
// DSDT has revision 1.
DefinitionBlock ("", "SSDT", 2, "REGOPS", "NVGRACE", 1)
{
	External (\_SB.PCI0.S10.S00, DeviceObj)
	External (\_SB.PCI0.S18.S00, DeviceObj)
	External (\_SB.PCI0.S20.S00, DeviceObj)
	External (\_SB.PCI0.S28.S00, DeviceObj)
	External (\_SB.PCI0.S30.S00, DeviceObj)

	// 512 MiB are usable, and 1 GiB + 24 KiB are reserved for MIG
	Scope (\_SB.PCI0.S10.S00)
	{
		Name (_DSD, Package () {
			ToUUID ("daffd814-6eba-4d8c-8a91-bc9bbf4aa301"),
			Package () {
				Package () { "nvidia,gpu-mem-base-pa", 0x40000000 },
				Package () { "nvidia,gpu-mem-size", 0x60006000 }
			}
		})
	}

	// 48 MiB + 8 KiB
	Scope (\_SB.PCI0.S18.S00)
	{
		Name (_DSD, Package () {
			ToUUID ("daffd814-6eba-4d8c-8a91-bc9bbf4aa301"),
			Package () {
				Package () { "nvidia,gpu-mem-base-pa", 0xa4000000 },
				Package () { "nvidia,gpu-mem-size", 0x3002000 }
			}
		})
	}

	// 32 MiB - 4 KiB, at an address that no huge page can have
	Scope (\_SB.PCI0.S20.S00)
	{
		Name (_DSD, Package () {
			ToUUID ("daffd814-6eba-4d8c-8a91-bc9bbf4aa301"),
			Package () {
				Package () { "nvidia,gpu-mem-base-pa", 0xa8001000 },
				Package () { "nvidia,gpu-mem-size", 0x1fff000 }
			}
		})
	}

	// 32 MiB
	Scope (\_SB.PCI0.S28.S00)
	{
		Name (_DSD, Package () {
			ToUUID ("daffd814-6eba-4d8c-8a91-bc9bbf4aa301"),
			Package () {
				Package () { "nvidia,gpu-mem-base-pa", 0xac000000 },
				Package () { "nvidia,gpu-mem-size", 0x2000000 }
			}
		})
	}

	// 12 MiB + 8 KiB
	Scope (\_SB.PCI0.S30.S00)
	{
		Name (_DSD, Package () {
			ToUUID ("daffd814-6eba-4d8c-8a91-bc9bbf4aa301"),
			Package () {
				Package () { "devmem-base", 0xae000000 },
				Package () { "devmem-size", 0xc02000 }
			}
		})
	}
}
