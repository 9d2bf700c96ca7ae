// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sample driver that offers a PCI device as one mediated device
 *
 * The driver binds PCI devices.  Each device offers one mediated device.  When
 * userspace creates it, the driver registers a vfio device for the PCI device,
 * with the same regions and vendor drivers as in vfio-pci.  vfio-pci-core
 * implements all accesses.
 *
 * In sysfs, the vfio device is below the mediated device, but it belongs to the
 * PCI device.  Userspace binds the PCI device to an iommufd, or adds the IOMMU
 * group of the PCI device to a container.  The IOMMU confines the DMA of the
 * PCI device, as with vfio-pci.  The mediated device has no IOMMU group,
 * because an emulated group would confine nothing.
 *
 * See Documentation/driver-api/vfio-mdev-pci.rst.
 */

#include <linux/device.h>
#include <linux/iommu.h>
#include <linux/mdev.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

static char ids[1024] __initdata;
module_param_string(ids, ids, sizeof(ids), 0);
MODULE_PARM_DESC(ids, "Initial PCI IDs to add to the driver, in the format of vfio-pci's ids");

static bool nointxmask;
module_param(nointxmask, bool, 0644);
MODULE_PARM_DESC(nointxmask, "Disable support for PCI 2.3 style INTx masking");

#ifdef CONFIG_VFIO_PCI_VGA
static bool disable_vga;
module_param(disable_vga, bool, 0444);
MODULE_PARM_DESC(disable_vga, "Disable VGA resource access");
#endif

static bool disable_idle_d3;
module_param(disable_idle_d3, bool, 0644);
MODULE_PARM_DESC(disable_idle_d3, "Disable using the PCI D3 low power state for idle, unused devices");

struct vfio_mdev_pci {
	struct mdev_parent parent;
	struct mdev_type type;
	struct mdev_type *types;
};

static int vfio_mdev_pci_init_dev(struct vfio_device *core_vdev)
{
	struct vfio_pci_core_device *vdev =
		container_of(core_vdev, struct vfio_pci_core_device, vdev);

	vdev->nointxmask = nointxmask;
	vdev->disable_idle_d3 = disable_idle_d3;
#ifdef CONFIG_VFIO_PCI_VGA
	vdev->disable_vga = disable_vga;
#endif

	return vfio_pci_core_init_dev(core_vdev);
}

static const struct vfio_device_ops vfio_mdev_pci_ops = {
	.name			= "vfio-mdev-pci",
	.init			= vfio_mdev_pci_init_dev,
	.release		= vfio_pci_core_release_dev,
	.open_device		= vfio_pci_core_open_device,
	.close_device		= vfio_pci_core_close_device,
	.ioctl			= vfio_pci_core_ioctl,
	.get_region_info_caps	= vfio_pci_ioctl_get_region_info,
	.device_feature		= vfio_pci_core_ioctl_feature,
	.read			= vfio_pci_core_read,
	.write			= vfio_pci_core_write,
	.mmap			= vfio_pci_core_mmap,
	.request		= vfio_pci_core_request,
	.match			= vfio_pci_core_match,
	.match_token_uuid	= vfio_pci_core_match_token_uuid,
	.bind_iommufd		= vfio_iommufd_physical_bind,
	.unbind_iommufd		= vfio_iommufd_physical_unbind,
	.attach_ioas		= vfio_iommufd_physical_attach_ioas,
	.detach_ioas		= vfio_iommufd_physical_detach_ioas,
	.pasid_attach_ioas	= vfio_iommufd_physical_pasid_attach_ioas,
	.pasid_detach_ioas	= vfio_iommufd_physical_pasid_detach_ioas,
};

static const struct vfio_pci_device_ops vfio_mdev_pci_dev_ops = {
	.get_dmabuf_phys	= vfio_pci_core_get_dmabuf_phys,
};

static int vfio_mdev_pci_count(struct device *dev, void *count)
{
	return (*(int *)count)++ ? -EBUSY : 0;
}

/* The user of the mediated device gets access to the whole IOMMU group */
static int vfio_mdev_pci_check_group(struct pci_dev *pdev)
{
	struct iommu_group *group = iommu_group_get(&pdev->dev);
	int count = 0, ret;

	if (!group) {
		pci_warn(pdev, "cannot create a mediated device without an IOMMU to confine its DMA; enable the IOMMU\n");
		return -ENODEV;
	}

	ret = iommu_group_for_each_dev(group, &count, vfio_mdev_pci_count);
	if (ret)
		pci_warn(pdev, "cannot create a mediated device: IOMMU group %d has other devices; use a device with its own group\n",
			 iommu_group_id(group));
	iommu_group_put(group);

	return ret;
}

static int vfio_mdev_pci_create(struct mdev_device *mdev)
{
	struct pci_dev *pdev = to_pci_dev(mdev->type->parent->dev);
	struct vfio_pci_core_device *vdev;
	int ret;

	ret = vfio_mdev_pci_check_group(pdev);
	if (ret)
		return ret;

	vdev = vfio_alloc_device(vfio_pci_core_device, vdev, &pdev->dev,
				 &vfio_mdev_pci_ops);
	if (IS_ERR(vdev))
		return PTR_ERR(vdev);

	dev_set_drvdata(&mdev->dev, vdev);
	vdev->pci_ops = &vfio_mdev_pci_dev_ops;
	vfio_device_set_parent(&vdev->vdev, &mdev->dev);
	vfio_pci_core_set_drvdata(pdev, vdev);

	ret = vfio_pci_core_bind_vendors(vdev);
	if (!ret)
		ret = vfio_pci_core_register_device(vdev);
	if (ret) {
		vfio_pci_core_set_drvdata(pdev, NULL);
		vfio_put_device(&vdev->vdev);
	}

	return ret;
}

static void vfio_mdev_pci_destroy(struct mdev_device *mdev)
{
	struct vfio_pci_core_device *vdev = dev_get_drvdata(&mdev->dev);

	vfio_pci_core_unregister_device(vdev);
	vfio_pci_core_set_drvdata(vdev->pdev, NULL);
	vfio_put_device(&vdev->vdev);
}

static struct mdev_driver vfio_mdev_pci_mdev_driver = {
	.device_api	= VFIO_DEVICE_API_PCI_STRING,
	.max_instances	= 1,
	.probe		= vfio_mdev_pci_create,
	.remove		= vfio_mdev_pci_destroy,
	.driver		= {
		.name		= "vfio-mdev-pci",
		.owner		= THIS_MODULE,
		.mod_name	= KBUILD_MODNAME,
	},
};

/* vfio-pci-core uses the drvdata, so keep the driver's data as a devres */
static void vfio_mdev_pci_release(struct device *dev, void *res)
{
}

static int vfio_mdev_pci_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct vfio_mdev_pci *m;
	int ret;

	if (pdev->hdr_type != PCI_HEADER_TYPE_NORMAL)
		return -EINVAL;

	/*
	 * Same as vfio-pci.  Without sriov_configure, VFs cannot appear later.
	 */
	if (pci_num_vf(pdev)) {
		pci_warn(pdev, "Cannot bind to PF with SR-IOV enabled\n");
		return -EBUSY;
	}

	m = devres_alloc(vfio_mdev_pci_release, sizeof(*m), GFP_KERNEL);
	if (!m)
		return -ENOMEM;

	m->type.sysfs_name = "type1";
	m->types = &m->type;
	ret = mdev_register_parent(&m->parent, &pdev->dev, &vfio_mdev_pci_mdev_driver,
				   &m->types, 1);
	if (ret)
		devres_free(m);
	else
		devres_add(&pdev->dev, m);

	return ret;
}

static void vfio_mdev_pci_remove(struct pci_dev *pdev)
{
	struct vfio_mdev_pci *m =
		devres_find(&pdev->dev, vfio_mdev_pci_release, NULL, NULL);

	mdev_unregister_parent(&m->parent);
}

static struct pci_driver vfio_mdev_pci_driver = {
	.name			= "vfio-mdev-pci",
	.probe			= vfio_mdev_pci_probe,
	.remove			= vfio_mdev_pci_remove,
	.err_handler		= &vfio_pci_core_err_handlers,
	.driver_managed_dma	= true,
};

static int __init vfio_mdev_pci_init(void)
{
	int ret;

	ret = mdev_register_driver(&vfio_mdev_pci_mdev_driver);
	if (ret)
		return ret;

	ret = pci_register_driver(&vfio_mdev_pci_driver);
	if (ret)
		mdev_unregister_driver(&vfio_mdev_pci_mdev_driver);
	else
		vfio_pci_core_add_ids(&vfio_mdev_pci_driver, ids);

	return ret;
}
module_init(vfio_mdev_pci_init);

static void __exit vfio_mdev_pci_exit(void)
{
	pci_unregister_driver(&vfio_mdev_pci_driver);
	mdev_unregister_driver(&vfio_mdev_pci_mdev_driver);
}
module_exit(vfio_mdev_pci_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Sample driver that offers a PCI device as a mediated device");
