// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "migration.h"
#include "../vendor/need.h"

#define MODULE		"vfio_pci_testdrv_migration"
#define PARAMETERS	"/sys/module/" MODULE "/parameters/"

const char *device_bdf;
char **migration_bdfs;
int migration_nr_bdfs;

static void migration_end(void)
{
	int i;

	migration_unbind();
	migration_try_rmmod();
	for (i = 0; i < migration_nr_bdfs; i++)
		bind_device(migration_bdfs[i]);
}

void migration_begin(int *argc, char *argv[], int nr, const char *devices)
{
	migration_bdfs = need_bdfs(argc, argv, nr, devices, &migration_nr_bdfs);
	device_bdf = migration_bdfs[0];
	need_file(device_file(device_bdf, "reset"), "a device with a reset");
	need_no_samples();
	need_module(MODULE, "CONFIG_VFIO_PCI_TEST_DRIVERS, CONFIG_VFIO_PCI_MIGRATION");
	/* A driver that was loaded before stays loaded */
	if (!module_is_loaded(MODULE))
		at_end(migration_end);
}

/* Read a parameter of the module, or return NULL; valid until the next call */
static char *get_param(const char *param)
{
	static char text[4096];
	char path[128];
	size_t size;
	FILE *file;

	snprintf_assert(path, sizeof(path), PARAMETERS "%s", param);
	file = fopen(path, "r");
	if (!file)
		return NULL;
	size = fread(text, 1, sizeof(text) - 1, file);
	text[size] = '\0';
	fclose(file);

	return text;
}

static char *need_param(const char *param)
{
	char *text = get_param(param);

	VFIO_ASSERT_NOT_NULL(text, "cannot read %s; the module " MODULE " must be loaded\n", param);

	return text;
}

void migration_set(const char *param, const char *fmt, ...)
{
	char path[128], text[128];
	va_list args;
	int ret;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);

	snprintf_assert(path, sizeof(path), PARAMETERS "%s", param);
	ret = put_text(path, text);
	VFIO_ASSERT_EQ(ret, 0, "%s: %s\n", path, text);
}

int migration_open(const char *param, int flags)
{
	char path[128];
	int fd;

	snprintf_assert(path, sizeof(path), PARAMETERS "%s", param);
	fd = open(path, flags);
	VFIO_ASSERT_GE(fd, 0, "%s: %m\n", path);

	return fd;
}

int migration_count(const char *param)
{
	return atoi(need_param(param));
}

int migration_calls(const char *op)
{
	const char *text = need_param("calls");
	size_t length = strlen(op);

	for (; *text; text = strchr(text, '\n') + 1)
		if (!strncmp(text, op, length) && text[length] == ' ')
			return atoi(text + length);

	VFIO_FAIL("the module has no operation %s\n", op);
}

struct driver_view migration_view(const char *bdf)
{
	char *line = strstr(need_param("devices"), bdf), *rest;
	struct driver_view view = {};
	int ret;

	VFIO_ASSERT_NOT_NULL(line, "%s is not open\n", bdf);
	line[strcspn(line, "\n")] = '\0';
	/* "BDF LEVEL SEED version VERSION [...]" */
	line += strlen(bdf) + 1;
	snprintf_assert(view.level, sizeof(view.level), "%.*s", (int)strcspn(line, " "), line);
	view.seed = strtoull(strchr(line, ' '), &rest, 0);
	ret = sscanf(rest, " version %u", &view.version);
	VFIO_ASSERT_EQ(ret, 1);
	view.in_session = strstr(rest, "in session");
	view.logging = strstr(rest, "logging");

	return view;
}

void migration_fail(const char *op, int error, unsigned int after)
{
	migration_set("fail_op", "none");
	migration_set("fail_errno", "%d", error);
	migration_set("fail_after", "%u", after);
	migration_set("fail_op", "%s", op);
}

void migration_defaults(void)
{
	migration_fail("none", 0, 0);
	migration_set("size", "4096");
	migration_set("part", "0");
	migration_set("dirty", "0");
	migration_set("delay_ms", "0");
	migration_set("cheap", "0");
	migration_set("sync_iova", "0");
	migration_set("sync_length", "0");
	migration_set("incapable", "none");
}

static bool is_loaded_with(const struct abilities *abilities)
{
	const char *text = get_param("p2p");

	if (!text || (*text == 'Y') != abilities->p2p)
		return false;
	if (strtoull(need_param("precopy"), NULL, 0) != abilities->precopy)
		return false;

	return (*need_param("log") == 'Y') == abilities->log;
}

/* Write the ids of all devices in the format of the module */
static void get_ids(char *ids, size_t size)
{
	size_t length = 0;
	int i;

	for (i = 0; i < migration_nr_bdfs; i++) {
		length += snprintf(ids + length, size - length, "%s%x:%x", i ? "," : "",
				   device_id(migration_bdfs[i], "vendor"),
				   device_id(migration_bdfs[i], "device"));
		VFIO_ASSERT_LT(length, size);
	}
}

void migration_modprobe(const struct abilities *abilities)
{
	char ids[128], args[256];

	get_ids(ids, sizeof(ids));
	snprintf_assert(args, sizeof(args), MODULE " ids=%s p2p=%d precopy=%llu log=%d", ids,
			abilities->p2p, (unsigned long long)abilities->precopy, abilities->log);
	VFIO_ASSERT_TRUE(run_modprobe(args), "modprobe %s failed, see dmesg\n", args);
}

int migration_try_rmmod(void)
{
	return syscall(SYS_delete_module, MODULE, O_NONBLOCK) ? errno : 0;
}

/* A bound device pins the module */
void migration_unbind(void)
{
	int i;

	for (i = 0; i < migration_nr_bdfs; i++)
		unbind_device(migration_bdfs[i]);
}

/* vfio-pci reads the abilities at bind, so bind the devices again to change them */
void migration_load(const struct abilities *abilities)
{
	int i;

	if (!is_loaded_with(abilities)) {
		migration_unbind();
		if (get_param("p2p"))
			VFIO_ASSERT_EQ(migration_try_rmmod(), 0);
		migration_modprobe(abilities);
	}
	for (i = 0; i < migration_nr_bdfs; i++)
		bind_device(migration_bdfs[i]);
	migration_defaults();
}

int device_feature(int fd, u32 flags, void *data, size_t size)
{
	struct vfio_device_feature *feature = calloc_assert(1, sizeof(*feature) + size);
	int ret = 0;

	feature->argsz = sizeof(*feature) + size;
	feature->flags = flags;
	if (data)
		memcpy(feature->data, data, size);
	if (ioctl(fd, VFIO_DEVICE_FEATURE, feature))
		ret = errno;
	if (data)
		memcpy(data, feature->data, size);
	free(feature);

	return ret;
}

int set_state(int fd, u32 state, int *data_fd)
{
	struct vfio_device_feature_mig_state mig = { .device_state = state, .data_fd = -2 };
	int ret;

	ret = device_feature(fd, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
			     &mig, sizeof(mig));
	if (ret)
		mig.data_fd = -1;
	if (data_fd)
		*data_fd = mig.data_fd;
	else if (mig.data_fd >= 0)
		close(mig.data_fd);

	return ret;
}

u32 get_state(int fd)
{
	struct vfio_device_feature_mig_state mig = {};
	int ret;

	ret = device_feature(fd, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
			     &mig, sizeof(mig));
	VFIO_ASSERT_EQ(ret, 0);
	VFIO_ASSERT_EQ(mig.data_fd, -1);

	return mig.device_state;
}

u64 get_data_size(int fd)
{
	struct vfio_device_feature_mig_data_size size = {};
	int ret;

	ret = device_feature(fd, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIG_DATA_SIZE,
			     &size, sizeof(size));
	VFIO_ASSERT_EQ(ret, 0);

	return size.stop_copy_length;
}

u64 get_flags(int fd)
{
	struct vfio_device_feature_migration mig = {};
	int ret;

	ret = device_feature(fd, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION,
			     &mig, sizeof(mig));
	VFIO_ASSERT_EQ(ret, 0);

	return mig.flags;
}

int read_all(int fd, struct bytes *bytes, size_t chunk)
{
	ssize_t ret;

	for (;;) {
		if (bytes->room - bytes->size < chunk) {
			bytes->room = 2 * (bytes->room + chunk);
			bytes->data = realloc(bytes->data, bytes->room);
			VFIO_ASSERT_NOT_NULL(bytes->data);
		}
		ret = read(fd, bytes->data + bytes->size, chunk);
		if (ret <= 0)
			return ret ? errno : 0;
		bytes->size += ret;
	}
}

int write_all(int fd, const void *data, size_t size, size_t chunk)
{
	ssize_t ret;

	for (; size; data += ret, size -= ret) {
		ret = write(fd, data, chunk < size ? chunk : size);
		if (ret < 0)
			return errno;
		VFIO_ASSERT_GT(ret, 0);
	}

	return 0;
}

void save_state(int fd, struct bytes *bytes)
{
	int data_fd, ret;

	ret = set_state(fd, STATE(STOP_COPY), &data_fd);
	VFIO_ASSERT_EQ(ret, 0);
	ret = read_all(data_fd, bytes, 1 << 20);
	VFIO_ASSERT_EQ(ret, 0);
	close(data_fd);
}

int load_state(int fd, const struct bytes *bytes)
{
	int data_fd, ret;

	ret = set_state(fd, STATE(RESUMING), &data_fd);
	VFIO_ASSERT_EQ(ret, 0);
	ret = write_all(data_fd, bytes->data, bytes->size, 1 << 20);
	close(data_fd);

	return ret ?: set_state(fd, STATE(STOP), NULL);
}

void free_bytes(struct bytes *bytes)
{
	free(bytes->data);
	*bytes = (struct bytes) {};
}
