import Formats
import Foundation

/// A folder that holds a set of images, kept in one of these ways:
///
/// | | training images | held out, if there are any |
/// |---|---|---|
/// | IDX, plain or gzip | `train-images-idx3-ubyte` | `t10k-images-idx3-ubyte` |
/// | CIFAR-10, binary | `data_batch_1.bin` and on | `test_batch.bin` |
/// | NPY | `train-images.npy` | `test-images.npy` |
/// | PNG | in the folder `train` | in the folder `test` |
///
/// Labels, where they are known, are in `train-labels-idx1-ubyte` or `train-labels.npy` (uint8); those
/// of PNG files are the folders that they are in, numbered in the order of their names.
struct SetFolder {
  private enum Kind { case idx, cifar10, npy, png }

  private let path: String
  private let kind: Kind

  /// Looks for the set in `settings.folder`, else in the folder that the environment variable
  /// `DIFFUSEVAE_DATA` names, else in `data`; torchvision's layout is understood.
  ///
  /// - Throws: ``UserError`` when it is not there.
  init(_ settings: DataSettings) throws {
    let root =
      settings.folder ?? ProcessInfo.processInfo.environment["DIFFUSEVAE_DATA"] ?? "data"
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
    if idx("train-images-idx3", path) != nil { return .idx }
    if exists("\(path)/data_batch_1.bin") { return .cifar10 }
    if exists("\(path)/train-images.npy") { return .npy }
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
      let file = "\(path)/test_batch.bin"
      return Self.exists(file) ? try CIFAR10.images(at: file) : nil
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

  // MARK: IDX

  private static func idx(_ name: String, _ folder: String) -> String? {
    ["", ".gz"].map { "\(folder)/\(name)-ubyte\($0)" }.first { exists($0) }
  }

  private func idxImages(_ split: String) throws -> ByteImages? {
    guard let file = Self.idx("\(split)-images-idx3", path) else { return nil }
    let images = try IDX.images(at: file)
    guard let file = Self.idx("\(split)-labels-idx1", path) else { return images }
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
    let count = try ByteImages.names(in: path).filter {
      $0.hasPrefix("data_batch_") && $0.hasSuffix(".bin")
    }.count
    var images = try CIFAR10.images(at: "\(path)/data_batch_1.bin")
    for number in stride(from: 2, through: count, by: 1) {
      images.append(try CIFAR10.images(at: "\(path)/data_batch_\(number).bin"))
    }
    return images
  }

  // MARK: NPY

  private static let counts = 1...10_000_000

  private func arrays(_ split: String) throws -> ByteImages? {
    let file = "\(path)/\(split)-images.npy"
    guard Self.exists(file) else { return nil }
    let images = try ByteImages(files: file, shape: nil, counts: Self.counts)
    let labels = "\(path)/\(split)-labels.npy"
    guard Self.exists(labels) else { return images }
    let (tensor, type) = try NPY.decode(rows: 1, of: labels)
    guard type == .uint8, tensor.shape.count == 1 else {
      throw UserError("\(labels): labels must be bytes (uint8) in one dimension")
    }
    return try labelled(images, tensor.elements.map { UInt8($0) }, labels)
  }

  // MARK: PNG

  /// A folder of PNG files, without labels, or of a folder for every class of `train`.
  private func classes(_ split: String) throws -> ByteImages? {
    let folder = "\(path)/\(split)"
    guard Self.exists(folder, isFolder: true) else { return nil }
    func folders(_ path: String) throws -> [String] {
      try ByteImages.names(in: path).filter { Self.exists("\(path)/\($0)", isFolder: true) }
    }
    let found = try folders(folder)
    guard !found.isEmpty else {
      return try ByteImages(files: folder, shape: nil, counts: Self.counts)
    }
    let names = try folders("\(path)/train")
    guard names.count <= 256 else {
      throw UserError("\(path)/train: has \(names.count) folders; at most 256 classes are known")
    }
    var images: ByteImages?
    for name in found {
      guard let label = names.firstIndex(of: name) else {
        throw UserError("\(folder)/\(name): there is no such class in \(path)/train")
      }
      var some = try ByteImages(
        files: "\(folder)/\(name)", shape: images?.shape, counts: Self.counts)
      some.labels = [UInt8](repeating: UInt8(label), count: some.count)
      images?.append(some)
      images = images ?? some
    }
    return images
  }
}
