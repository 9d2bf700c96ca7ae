/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VFIO PCI tracepoints
 */

#undef TRACE_SYSTEM
#define TRACE_SYSTEM vfio_pci

#if !defined(_TRACE_VFIO_PCI_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_VFIO_PCI_H

/* Without vendor drivers, the tracepoints are empty */
#ifndef CONFIG_VFIO_PCI_VENDOR
#define NOTRACE
#endif

#include <linux/pci.h>
#include <linux/tracepoint.h>

DECLARE_EVENT_CLASS(vfio_pci_region_access,
		    TP_PROTO(struct pci_dev *pdev, unsigned int index, u64 pos,
			     size_t count, ssize_t ret),
		    TP_ARGS(pdev, index, pos, count, ret),

		    TP_STRUCT__entry(__string(name, pci_name(pdev))
				     __field(unsigned int, index)
				     __field(u64, pos)
				     __field(size_t, count)
				     __field(ssize_t, ret)),

		    TP_fast_assign(__assign_str(name);
				   __entry->index = index;
				   __entry->pos = pos;
				   __entry->count = count;
				   __entry->ret = ret;),

		    TP_printk("%s: region %u pos=%#llx count=%zu ret=%zd",
			      __get_str(name), __entry->index, __entry->pos,
			      __entry->count, __entry->ret)
);

/* Accesses to a region by userspace, with their results */
DEFINE_EVENT(vfio_pci_region_access, vfio_pci_region_read,
	     TP_PROTO(struct pci_dev *pdev, unsigned int index, u64 pos,
		      size_t count, ssize_t ret),
	     TP_ARGS(pdev, index, pos, count, ret)
);

DEFINE_EVENT(vfio_pci_region_access, vfio_pci_region_write,
	     TP_PROTO(struct pci_dev *pdev, unsigned int index, u64 pos,
		      size_t count, ssize_t ret),
	     TP_ARGS(pdev, index, pos, count, ret)
);

DEFINE_EVENT(vfio_pci_region_access, vfio_pci_region_map,
	     TP_PROTO(struct pci_dev *pdev, unsigned int index, u64 pos,
		      size_t count, ssize_t ret),
	     TP_ARGS(pdev, index, pos, count, ret)
);

DEFINE_EVENT(vfio_pci_region_access, vfio_pci_region_ioeventfd,
	     TP_PROTO(struct pci_dev *pdev, unsigned int index, u64 pos,
		      size_t count, ssize_t ret),
	     TP_ARGS(pdev, index, pos, count, ret)
);

DECLARE_EVENT_CLASS(vfio_pci_vendor,
		    TP_PROTO(struct pci_dev *pdev, const char *driver, int ret),
		    TP_ARGS(pdev, driver, ret),

		    TP_STRUCT__entry(__string(name, pci_name(pdev))
				     __string(driver, driver)
				     __field(int, ret)),

		    TP_fast_assign(__assign_str(name);
				   __assign_str(driver);
				   __entry->ret = ret;),

		    TP_printk("%s: %s ret=%d", __get_str(name),
			      __get_str(driver), __entry->ret)
);

/* Open and close of a vendor driver; ret is the result of the open callback */
DEFINE_EVENT(vfio_pci_vendor, vfio_pci_vendor_open,
	     TP_PROTO(struct pci_dev *pdev, const char *driver, int ret),
	     TP_ARGS(pdev, driver, ret)
);

DEFINE_EVENT(vfio_pci_vendor, vfio_pci_vendor_close,
	     TP_PROTO(struct pci_dev *pdev, const char *driver, int ret),
	     TP_ARGS(pdev, driver, ret)
);

/* Override of a region (start and size are 0) or of a range, with its result */
TRACE_EVENT(vfio_pci_vendor_override,
	    TP_PROTO(struct pci_dev *pdev, const char *driver,
		     unsigned int index, u64 start, u64 size, int ret),
	    TP_ARGS(pdev, driver, index, start, size, ret),

	    TP_STRUCT__entry(__string(name, pci_name(pdev))
			     __string(driver, driver)
			     __field(unsigned int, index)
			     __field(u64, start)
			     __field(u64, size)
			     __field(int, ret)),

	    TP_fast_assign(__assign_str(name);
			   __assign_str(driver);
			   __entry->index = index;
			   __entry->start = start;
			   __entry->size = size;
			   __entry->ret = ret;),

	    TP_printk("%s: %s region %u start=%#llx size=%#llx ret=%d",
		      __get_str(name), __get_str(driver), __entry->index,
		      __entry->start, __entry->size, __entry->ret)
);

#endif /* _TRACE_VFIO_PCI_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE vfio_pci_trace

/* This part must be outside protection */
#include <trace/define_trace.h>
