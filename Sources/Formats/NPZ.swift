import CZip

/// NPZ, the format of `numpy.savez` and `numpy.savez_compressed`: a zip archive with an NPY file for
/// each array, `NAME.npy`.
///
/// What the archive says of itself is checked before memory is asked for: the number of arrays, the size of
/// the one that is wanted, and whether so few bytes can be so many.
public enum NPZ {
  /// Arrays that an archive may have.
  static let mostArrays: UInt64 = 10_000

  /// The archive of one array, not compressed. The same array always makes the same bytes.
  ///
  /// Throws `FormatError` if there is no memory for it.
  public static func encode(_ tensor: Tensor, name: String) throws -> [UInt8] {
    let file = "the archive of \(name)"
    let content = NPY.encode(tensor)
    return try content.withUnsafeBytes { content in
      var error = zip_error_t()
      zip_error_init(&error)
      defer { zip_error_fini(&error) }
      guard let target = zip_source_buffer_create(nil, 0, 0, &error) else {
        throw failure("cannot be made", &error, file)
      }
      // Else it would be gone when the archive is closed.
      zip_source_keep(target)
      defer { zip_source_free(target) }
      guard let archive = zip_open_from_source(target, ZIP_TRUNCATE, &error) else {
        zip_source_free(target)
        throw failure("cannot be made", &error, file)
      }
      var isClosed = false
      defer { if !isClosed { zip_discard(archive) } }
      let source = zip_source_buffer(archive, content.baseAddress, UInt64(content.count), 0)
      let index = source.map { zip_file_add(archive, "\(name).npy", $0, zip_flags_t(0)) } ?? -1
      if index < 0 { zip_source_free(source) }
      guard index >= 0,
        zip_set_file_compression(archive, UInt64(index), ZIP_CM_STORE, 0) == 0,
        // The first day that there is: the time is no part of an array.
        zip_file_set_dostime(archive, UInt64(index), 0, 1 << 5 | 1, 0) == 0,
        zip_close(archive) == 0
      else { throw failure("cannot be made", zip_get_error(archive), file) }
      isClosed = true
      return try bytes(of: target, file: file)
    }
  }

  /// All that a source has.
  private static func bytes(of source: OpaquePointer, file: String) throws -> [UInt8] {
    var status = zip_stat_t()
    guard zip_source_stat(source, &status) == 0, zip_source_open(source) == 0 else {
      throw failure("cannot be made", zip_source_error(source), file)
    }
    defer { zip_source_close(source) }
    let size = Int(status.size)
    let bytes = [UInt8](unsafeUninitializedCapacity: size) { target, count in
      count = max(0, Int(zip_source_read(source, target.baseAddress, UInt64(size))))
    }
    guard bytes.count == size else {
      throw failure("cannot be made", zip_source_error(source), file)
    }
    return bytes
  }

  /// The NPY file of an array: of the first of `names` that the archive has, or of the only one there is.
  ///
  /// - Parameter limit: bytes that it may have.
  ///
  /// Throws `FormatError` if the file cannot be read, is no such archive, is damaged or encrypted, has no
  /// such array or one that is larger, or more than 10 000 of them.
  public static func array(
    _ names: [String], of path: String, limit: Int
  ) throws -> (file: String, bytes: [UInt8]) {
    let whole = try File.read(path, limit: File.physicalMemory / 8) { size, bytes in
      // Its end first: what is refused by that need not be in memory.
      try checkDirectory(of: bytes(max(0, size - longestEnd)..<size), file: path)
      return try bytes(0..<size)
    }
    return try array(names, of: whole, file: path, limit: limit)
  }

  static func array(
    _ names: [String], of bytes: [UInt8], file: String, limit: Int
  ) throws -> (file: String, bytes: [UInt8]) {
    // To the library nothing is an archive of nothing.
    guard bytes.starts(with: Array("PK".utf8)) else {
      throw FormatError(file: file, problem: "is not an NPZ file: it does not begin with PK")
    }
    try checkDirectory(of: bytes, file: file)
    return try bytes.withUnsafeBytes { content in
      var error = zip_error_t()
      zip_error_init(&error)
      defer { zip_error_fini(&error) }
      let source = zip_source_buffer_create(
        content.baseAddress, UInt64(content.count), 0, &error)
      guard let source, let archive = zip_open_from_source(source, ZIP_RDONLY, &error) else {
        zip_source_free(source)
        throw failure("is not an NPZ file", &error, file)
      }
      defer { zip_discard(archive) }
      let (name, index) = try place(of: names, in: archive, file: file)
      let entryFile = "\(file), \(quoted(name))"
      return (entryFile, try entry(index, of: archive, limit: limit, file: entryFile))
    }
  }

  /// Refuses crowds of arrays before the library reads about all of them, by what ends an archive: 22
  /// bytes that begin with PK 5 6, and a remark.
  private static func checkDirectory(of bytes: [UInt8], file: String) throws {
    let tail = bytes.suffix(longestEnd)
    let places = tail.indices.reversed().filter {
      $0 + 22 <= bytes.count && bytes[$0..<$0 + 4].elementsEqual([0x50, 0x4B, 5, 6])
    }
    for place in places {
      let count = UInt64(littleEndian(bytes[place + 10..<place + 12]))
      let size = littleEndian(bytes[place + 12..<place + 16])
      // With a name of some length each, and what a tool adds.
      guard count <= mostArrays, size <= mostArrays * 512 else {
        throw FormatError(
          file: file, problem: "has \(count) arrays; an archive of at most \(mostArrays) is read")
      }
    }
  }

  private static let longestEnd = 22 + 0xFFFF

  /// Which entry is the array.
  private static func place(
    of names: [String], in archive: OpaquePointer, file: String
  ) throws -> (name: String, index: UInt64) {
    let count = UInt64(max(0, zip_get_num_entries(archive, 0)))
    var places: [(name: String, index: UInt64)] = []
    for index in 0..<count {
      guard let name = zip_get_name(archive, index, 0) else { continue }
      places.append((String(cString: name), index))
    }
    for name in names {
      if let place = places.first(where: { $0.name == "\(name).npy" }) { return place }
    }
    let arrays = places.filter { $0.name.hasSuffix(".npy") }
    guard arrays.count != 1 else { return arrays[0] }
    let found = arrays.prefix(5).map { quoted(String($0.name.dropLast(4))) }
    throw FormatError(
      file: file,
      problem: arrays.isEmpty
        ? "is a zip archive without arrays: it has no .npy"
        : "has \(arrays.count) arrays, among them \(found.joined(separator: ", ")): one must be named "
          + names.joined(separator: " or "))
  }

  /// One entry, inflated, with its checksum verified.
  private static func entry(
    _ index: UInt64, of archive: OpaquePointer, limit: Int, file: String
  ) throws -> [UInt8] {
    var status = zip_stat_t()
    guard zip_stat_index(archive, index, 0, &status) == 0,
      status.valid & UInt64(ZIP_STAT_SIZE) != 0, status.valid & UInt64(ZIP_STAT_COMP_SIZE) != 0
    else { throw failure("is damaged", zip_get_error(archive), file) }
    guard status.encryption_method == ZIP_EM_NONE,
      [ZIP_CM_STORE, ZIP_CM_DEFLATE].contains(Int32(status.comp_method))
    else {
      throw FormatError(
        file: file,
        problem: "is encrypted or compressed otherwise than by deflate, and not read here")
    }
    guard status.size <= UInt64(limit) else {
      throw FormatError(
        file: file, problem: "has \(status.size) bytes; at most \(limit) are read")
    }
    // Two bits of deflate make at most 258 bytes; 1032 times comp_size then cannot overflow.
    guard status.comp_size <= UInt64(File.physicalMemory),
      status.size <= 1032 * status.comp_size
    else {
      throw FormatError(
        file: file,
        problem: "is damaged: \(status.comp_size) bytes cannot be \(status.size) compressed")
    }
    try Gzip.check(size: Int(status.comp_size), inflatingTo: Int(status.size), file: file)
    guard let handle = zip_fopen_index(archive, index, 0) else {
      throw failure("cannot be read", zip_get_error(archive), file)
    }
    defer { zip_fclose(handle) }
    let size = Int(status.size)
    // One more: who asks beyond the end is told whether the checksum was right.
    let bytes = try [UInt8](unsafeUninitializedCapacity: size + 1) { target, count in
      while count <= size, let base = target.baseAddress {
        let read = zip_fread(handle, base + count, UInt64(size + 1 - count))
        guard read >= 0 else { throw failure("is damaged", zip_file_get_error(handle), file) }
        if read == 0 { break }
        count += Int(read)
      }
    }
    guard bytes.count == size else {
      throw FormatError(
        file: file, problem: "is damaged: \(size) bytes expected, \(bytes.count) or more found")
    }
    return bytes
  }

  private static func failure(
    _ problem: String, _ error: UnsafeMutablePointer<zip_error_t>?, _ file: String
  ) -> FormatError {
    let reason = error.map { String(cString: zip_error_strerror($0)) } ?? "no reason is known"
    return FormatError(file: file, problem: "\(problem) (\(reason))")
  }
}
