/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/pool_options.h"

struct backend_options pool_options(const struct config *config, const struct root *root)
{
    return (struct backend_options){
        .root = root->directory,
        .root_path = config->root,
        .pool_path = config->pool.path,
        .pool_size = config->pool.size,
        .thin_pool = config->dm_thin.pool,
        .data_device = config->dm_thin.data_device,
        .metadata_device = config->dm_thin.metadata_device,
        .file_system = config->dm_thin.file_system,
        .volume_size = config->dm_thin.volume_size,
    };
}
