// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The lock of a durable store's folder, on its file LOCK, in two halves.
///
/// The first byte has a POSIX record lock: the kernel knows whose it is. But it belongs to the process, and is lost as soon as
/// the process closes any descriptor of the file: a backup that copies the folder does. So the second byte has a lock of the
/// open file description, where there are such: nobody else can lose that. Whoever wants the folder needs both.
///
/// The second kind would be inherited by forked children, and outlive the process in them: they lose it as they are made.
/// (With vfork and posix_spawn they lose it when they exec.)
///
/// Thread safety: plain functions; a lock belongs to one thread at a time.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>

#include "storage/file_system.hpp"

namespace cubby::detail {

/// What FileSystem::lock() does.
std::unique_ptr<FileSystem::Lock> lock_file(const std::filesystem::path& path);

/// The process that holds it; 0 if the kernel doesn't tell which (another container's, or one that has lost the first half).
/// Empty: none. Changes nothing. REQUIRES: this process doesn't hold it, as it would lose the first half.
std::optional<std::int64_t> file_lock_holder(const std::filesystem::path& path);

/// What FileSystem::is_locked() does.
bool file_is_locked(const std::filesystem::path& path);

}  // namespace cubby::detail
