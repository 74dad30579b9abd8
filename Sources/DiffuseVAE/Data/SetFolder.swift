import Formats
import Foundation

/// A folder that holds a set of images, kept in one of these ways:
///
/// | | training images | held out, if there are any |
/// |---|---|---|
/// | IDX, plain or gzip | `train-images-idx3-ubyte` | `t10k-images-idx3-ubyte` |
/// | CIFAR-10, binary | `data_batch_1.bin` and on | `test_batch.bin` |
/// | NPY or NPZ | `train-images.npy` | `test-images.npy` |
/// | PNG | in the folder `train` | in the folder `test` |
///
/// Labels, where they are known, are in `train-labels-idx1-ubyte` or `train-labels.npy` (uint8); those
/// of PNG files are the folders that they are in, numbered in the order of their names as texts: `10`
/// comes before `2`.
struct SetFolder {
  private enum Kind { case idx, cifar10, npy, png }

  private let path: String
  private let kind: Kind

  /// Looks for the set in `settings.folder`, else in the folder that the environment variable
  /// `DIFFUSEVAE_DATA` names, else in `data`; torchvision's layout of MNIST is understood.
  ///
  /// - Throws: ``UserError`` when it is not there.
  init(_ settings: DataSettings) throws {
    // An empty variable is none: its folder would be the root of the file system.
    let variable = ProcessInfo.processInfo.environment["DIFFUSEVAE_DATA"] ?? ""
    let root = settings.folder ?? (variable.isEmpty ? "data" : variable)
    let set = settings.set
    // A folder of the set's name first: what lies beside it may be another set.
    let candidates = [
      set, "\(set)/raw", set.uppercased(), "\(set.uppercased())/raw", "\(set)-batches-bin", "",
    ].map { $0.isEmpty ? root : "\(root)/\($0)" }
    for path in candidates {
      if let kind = Self.kind(of: path) {
        (self.path, self.kind) = (path, kind)
        return
      }
    }
    throw UserError(
      """
      \(root): no images of the set \(set) here; expected train-images-idx3-ubyte (plain or .gz), \
      data_batch_1.bin, train-images.npy or a folder train of PNG files, in this folder or in \(set), \
      \(set)/raw, \(set.uppercased()), \(set.uppercased())/raw or \(set)-batches-bin below it. \
      Set data.folder or DIFFUSEVAE_DATA to where it is; scripts/get-mnist fetches MNIST.
      """)
  }

  private static func kind(of path: String) -> Kind? {
    let images = "\(path)/train-images-idx3-ubyte"
    if exists(images) || exists(images + ".gz") { return .idx }
    if exists("\(path)/data_batch_1.bin") { return .cifar10 }
    if exists("\(path)/train-images.npy") || exists("\(path)/train-images.npz") { return .npy }
    return exists("\(path)/train/", isFolder: true) ? .png : nil
  }

  /// - Throws: `FormatError` or ``UserError``, naming the file and what was expected.
  func training() throws -> ByteImages {
    switch kind {
    case .idx: return try idxImages("train") ?? missing("train-images-idx3-ubyte")
    case .cifar10: return try batches()
    case .npy: return try arrays("train") ?? missing("train-images.npy")
    case .png: return try classes("train") ?? missing("train")
    }
  }

  /// Nil if there are none.
  ///
  /// - Throws: as ``training()``.
  func test() throws -> ByteImages? {
    switch kind {
    case .idx: return try idxImages("t10k")
    case .cifar10:
      return try Self.existing("\(path)/test_batch.bin").map { try CIFAR10.images(at: $0) }
    case .npy: return try arrays("test")
    case .png: return try classes("test")
    }
  }

  private func missing(_ name: String) throws -> ByteImages {
    throw UserError("\(path)/\(name): is no longer there")
  }

  private static func exists(_ path: String, isFolder: Bool = false) -> Bool {
    var found: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &found)
      && found.boolValue == isFolder
  }

  /// The path, or nil if there is nothing: what is there but of the other kind is a mistake.
  private static func existing(_ path: String, isFolder: Bool = false) throws -> String? {
    // Also a link to nothing.
    guard (try? FileManager.default.attributesOfItem(atPath: path)) != nil else { return nil }
    guard exists(path, isFolder: isFolder) else {
      throw UserError("\(path): is no \(isFolder ? "folder" : "file")")
    }
    return path
  }

  // MARK: IDX

  private static func idx(_ name: String, _ folder: String) throws -> String? {
    let plain = "\(folder)/\(name)-ubyte"
    return try existing(plain) ?? existing(plain + ".gz")
  }

  private func idxImages(_ split: String) throws -> ByteImages? {
    guard let file = try Self.idx("\(split)-images-idx3", path) else { return nil }
    let images = try IDX.images(at: file)
    guard let file = try Self.idx("\(split)-labels-idx1", path) else { return images }
    return try labelled(images, IDX.labels(at: file), file)
  }

  private func labelled(
    _ images: ByteImages, _ labels: [UInt8], _ file: String
  ) throws -> ByteImages {
    guard labels.count == images.count else {
      throw UserError("\(file): \(labels.count) labels for \(images.count) images")
    }
    var images = images
    images.labels = labels
    return images
  }

  // MARK: CIFAR-10

  /// All batches in order. One that is missing between others is a mistake.
  private func batches() throws -> ByteImages {
    let numbers = try ByteImages.names(in: path).compactMap {
      $0.wholeMatch(of: /data_batch_([1-9][0-9]{0,3})\.bin/).flatMap { Int($0.1) }
    }
    // Five batches of 10 000 images are what there is, but for sets that only look like it.
    let capacity = min(5, numbers.count) * 10_000 * 3072
    return try ByteImages(joining: max(1, numbers.max() ?? 1), capacity: capacity) {
      try CIFAR10.images(at: "\(path)/data_batch_\($0 + 1).bin")
    }
  }

  // MARK: NPY

  private static func array(_ path: String) throws -> String? {
    try existing(path + ".npy") ?? existing(path + ".npz")
  }

  private static let counts = 1...1_000_000

  private func arrays(_ split: String) throws -> ByteImages? {
    guard let file = try Self.array("\(path)/\(split)-images") else { return nil }
    let images = try ByteImages(files: file, shape: nil, counts: Self.counts)
    guard let labels = try Self.array("\(path)/\(split)-labels") else { return images }
    let (tensor, _) = try NPY.read(labels, rows: 1, name: .labels) { shape, type in
      guard type == .uint8, shape.count == 1 else {
        throw UserError("\(labels): labels must be bytes (uint8) in one dimension")
      }
    }
    return try labelled(images, tensor.elements.map { UInt8($0) }, labels)
  }

  // MARK: PNG

  /// A folder of PNG files, without labels, or of a folder for every class of `train`.
  private func classes(_ split: String) throws -> ByteImages? {
    guard let folder = try Self.existing("\(path)/\(split)", isFolder: true) else { return nil }
    func folders(_ path: String) throws -> [String] {
      try ByteImages.names(in: path).filter { Self.exists("\(path)/\($0)", isFolder: true) }
    }
    let found = try folders(folder)
    guard !found.isEmpty else {
      return try ByteImages(files: folder, shape: nil, counts: Self.counts)
    }
    if let loose = try ByteImages.names(in: folder).first(where: {
      $0.lowercased().hasSuffix(".png")
    }) {
      throw UserError("\(folder)/\(loose): lies beside folders of classes, and is of none")
    }
    let names = try folders("\(path)/train")
    guard names.count <= 256 else {
      throw UserError("\(path)/train: has \(names.count) folders; at most 256 classes are known")
    }
    var (sets, bytes) = ([ByteImages](), 0)
    for name in found {
      // Byte by byte: two names may be the same to a reader.
      guard let label = names.firstIndex(where: { $0.utf8.elementsEqual(name.utf8) }) else {
        throw UserError("\(folder)/\(name): there is no such class in \(path)/train")
      }
      var some = try ByteImages(
        files: "\(folder)/\(name)", shape: sets.first?.shape, counts: Self.counts)
      some.labels = [UInt8](repeating: UInt8(label), count: some.count)
      sets.append(some)
      bytes += some.bytes.count
      // All of them are joined in the end.
      try checkMemory(bytes: 2 * bytes, "\(folder): reading \(bytes) bytes of images")
    }
    return ByteImages(joining: sets.count, capacity: bytes) { sets[$0] }
  }
}
