#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Whole files, in and out.
public enum File {
  /// All bytes of the regular file at `path`.
  ///
  /// Throws ``FileError`` if it cannot be read; ``FormatError`` if it is a folder, a pipe or a device, or
  /// is larger than `limit` bytes: unless given, than the machine's memory.
  public static func read(_ path: String, limit: Int = physicalMemory) throws -> [UInt8] {
    try read(path, limit: limit) { size, bytes in try bytes(0..<size) }
  }

  /// Calls `body` with the size of the regular file at `path` and a function that reads any part of
  /// it, less only if the file has shrunk since. Throws as ``read(_:limit:)`` does.
  static func read<Result>(
    _ path: String, limit: Int = physicalMemory,
    _ body: (_ size: Int, _ bytes: (Range<Int>) throws -> [UInt8]) throws -> Result
  ) throws -> Result {
    // Non-blocking, or opening a pipe that nobody writes to would wait forever.
    let file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    guard file >= 0 else { throw FileError(file: path, problem: "cannot be read") }
    defer { close(file) }

    var status = stat()
    guard fstat(file, &status) == 0 else { throw FileError(file: path, problem: "cannot be read") }
    guard status.st_mode & S_IFMT == S_IFREG else {
      let kind = status.st_mode & S_IFMT == S_IFDIR ? "a folder" : "no regular file"
      throw FormatError(file: path, problem: "cannot be read: it is \(kind)")
    }
    let size = Int(status.st_size)
    guard size <= limit else {
      throw FormatError(file: path, problem: "has \(size) bytes; at most \(limit) are read")
    }

    return try body(size) { part in
      try [UInt8](unsafeUninitializedCapacity: part.count) { buffer, count in
        while count < part.count, let base = buffer.baseAddress {
          let read = pread(file, base + count, part.count - count, off_t(part.lowerBound + count))
          if read < 0, errno == EINTR { continue }
          guard read >= 0 else { throw FileError(file: path, problem: "cannot be read") }
          if read == 0 { break }
          count += read
        }
      }
    }
  }

  /// Makes `bytes` the content of the file at `path`, new or not: after a return they are on the
  /// disk; after an error, or if power fails on the way, what stood there before stands there
  /// still. A symbolic link at `path` is replaced, not followed.
  ///
  /// Throws ``FileError`` if that cannot be done, e.g. because the folder does not exist or a
  /// folder has the name.
  public static func writeAtomically(_ bytes: [UInt8], to path: String) throws {
    try writeAtomically(parts: CollectionOfOne(bytes), to: path)
  }

  /// The same of content that is made part by part, as it is written.
  static func writeAtomically(parts: some Sequence<[UInt8]>, to path: String) throws {
    let (folderPath, name) = split(path)
    guard !name.isEmpty else {
      throw FormatError(file: path, problem: "cannot be written: it does not name a file")
    }
    let folder = open(folderPath, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard folder >= 0 else { throw FileError(file: path, problem: "cannot be written") }
    defer { close(folder) }

    // The temporary is in the same folder, hence on the same disk, where renaming is one step.
    let temporary = ".\(name).\(String(UInt64.random(in: 0 ... .max), radix: 36)).tmp"
    let file = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard file >= 0 else { throw FileError(file: path, problem: "cannot be written") }
    var renamed = false
    defer {
      close(file)
      if !renamed { unlinkat(folder, temporary, 0) }
    }

    for bytes in parts {
      try bytes.withUnsafeBytes { buffer in
        var count = 0
        while count < buffer.count, let base = buffer.baseAddress {
          let written = write(file, base + count, buffer.count - count)
          if written < 0, errno == EINTR { continue }
          guard written >= 0 else { throw FileError(file: path, problem: "cannot be written") }
          count += written
        }
      }
    }
    guard fsync(file) == 0, renameat(folder, temporary, folder, name) == 0 else {
      throw FileError(file: path, problem: "cannot be written")
    }
    renamed = true
    // Some file systems cannot sync a folder and answer EINVAL; there is nothing more to do there.
    guard fsync(folder) == 0 || errno == EINVAL else {
      throw FileError(file: path, problem: "cannot be synced")
    }
  }

  /// Gives a folder, which must be on the same disk, the name `path`, where there is none or an empty
  /// one: after a return that is on the disk.
  ///
  /// Throws ``FileError`` if that cannot be done.
  public static func move(folder: String, to path: String) throws {
    guard rename(folder, path) == 0 else {
      throw FileError(file: path, problem: "cannot be written")
    }
    let above = open(split(path).folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard above >= 0 else { throw FileError(file: path, problem: "cannot be synced") }
    defer { close(above) }
    guard fsync(above) == 0 || errno == EINVAL else {
      throw FileError(file: path, problem: "cannot be synced")
    }
  }

  /// Bytes of the machine's memory.
  public static var physicalMemory: Int {
    let pages = sysconf(Int32(_SC_PHYS_PAGES)).multipliedReportingOverflow(
      by: sysconf(Int32(_SC_PAGESIZE)))
    return pages.overflow ? .max : max(1 << 20, pages.partialValue)
  }

  /// The folder of `path` and the name in it, which is empty if `path` ends in a slash.
  private static func split(_ path: String) -> (folder: String, name: String) {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return (".", path) }
    let folder = slash == path.startIndex ? "/" : path[..<slash]
    return (String(folder), String(path[path.utf8.index(after: slash)...]))
  }
}
