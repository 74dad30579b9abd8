import Formats
import Foundation
import Neural

/// Where images go, by the ending of a name: `.png`, one sheet; `.apng`, a film of them; `.npy`, float32
/// `[N, H, W, C]` in [0, 1]; `.npz`, the same as its array `images`; no ending, a folder with a PNG for each
/// image. Each appears whole or not at all.
public enum ImageOutput: Sendable {
  case sheet(String)
  case film(String)
  case array(String)
  case folder(String)

  /// - Throws: ``UserError`` for any other ending.
  public init(_ path: String) throws {
    guard !path.isEmpty else { throw UserError("--out must name a file or a folder") }
    let name = URL(fileURLWithPath: path)
    switch name.pathExtension.lowercased() {
    case "png": self = .sheet(path)
    case "apng": self = .film(path)
    case "npy", "npz": self = .array(path)
    case "": self = .folder(path)
    case let other:
      throw UserError(
        """
        \(path): .\(other) is not known here; end in .png (a sheet), .apng (a film), .npy, .npz, or \
        nothing (a folder)
        """)
    }
  }

  /// Fails early, before work is done, where writing is bound to fail.
  ///
  /// - Parameters:
  ///   - count: images that are to be written.
  ///   - columns: images in a row of a sheet; of a film, frames.
  public func check(count: Int, shape: ImageShape, columns: Int? = nil) throws {
    switch self {
    case .sheet(let path), .film(let path), .array(let path):
      let folder = path.contains("/") ? path[..<(path.lastIndex(of: "/") ?? path.endIndex)] : "."
      var isFolder: ObjCBool = false
      let exists = FileManager.default.fileExists(
        atPath: folder.isEmpty ? "/" : String(folder), isDirectory: &isFolder)
      guard exists, isFolder.boolValue else {
        throw UserError("\(path): there is no folder \(folder)")
      }
      guard FileManager.default.isWritableFile(atPath: folder.isEmpty ? "/" : String(folder)) else {
        throw UserError("\(path): the folder \(folder) cannot be written to")
      }
      if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue {
        throw UserError("\(path): is a folder, not a file to write")
      }
      if case .film = self {
        let frames = columns ?? count
        let size = ImageGrid.size(count: count / max(1, frames), shape: shape)
        let bytes = [size.width, size.height, shape.channels].checkedProduct
        guard let bytes, bytes <= PNG.sizeLimit, max(size.height, size.width) <= 30_000 else {
          throw UserError(
            """
            \(path): a frame would be \(size.width) by \(size.height) pixels, more than 30000 a side or \
            \(PNG.sizeLimit) bytes
            """)
        }
        // Frames, and the file that they become.
        try checkMemory(bytes: 2 * bytes * frames, "a film of \(frames) frames")
      }
      if case .sheet = self {
        let size = ImageGrid.size(count: count, shape: shape, columns: columns)
        let bytes = [size.width, size.height, shape.channels].checkedProduct
        guard max(size.height, size.width) <= 30_000, bytes.map({ $0 <= PNG.sizeLimit }) ?? false
        else {
          throw UserError(
            """
            \(path): a sheet of \(count) images would be \(size.width) by \(size.height) pixels, \
            more than 30000 a side or \(PNG.sizeLimit) bytes; write .npy or a folder instead
            """)
        }
      }
    case .folder(let path):
      if let content = try? FileManager.default.contentsOfDirectory(atPath: path), !content.isEmpty
      {
        throw UserError("\(path): the folder is not empty")
      }
      let current = URL(fileURLWithPath: FileManager.default.currentDirectoryPath)
      guard
        URL(fileURLWithPath: path).resolvingSymlinksInPath().path
          != current.resolvingSymlinksInPath().path
      else { throw UserError("\(path): is the current folder; name one in it") }
      try fillAtomically(path) { _ in }
    }
  }

  /// Writes the images.
  ///
  /// - Parameters:
  ///   - images: `[count, height·width·channels]` in [0, 1].
  ///   - columns: images in a row of a sheet.
  public func write(_ images: Matrix, shape: ImageShape, columns: Int? = nil) throws {
    switch self {
    case .sheet(let path):
      try File.writeAtomically(ImageGrid.png(images, shape: shape, columns: columns), to: path)
    case .film(let path):
      try Self.write((0..<images.rows).map { images.rows($0..<$0 + 1) }, film: path, shape: shape)
    case .array(let path):
      try images.write(array: path, of: shape.sizes, name: .images)
    case .folder(let path):
      let digits = max(5, String(images.rows - 1).count)
      try fillAtomically(path) { folder in
        for index in 0..<images.rows {
          let number = String(index)
          let name = String(repeating: "0", count: digits - number.count) + number
          let png = try PNG.encode(
            width: shape.width, height: shape.height, channels: shape.channels,
            bytes: images.rows(index..<index + 1).bytes)
          try File.writeAtomically(png, to: "\(folder)/\(name).png")
        }
      }
    }
  }

  /// A film of sheets, each of as many images, a tenth of a second each.
  private static func write(
    _ sheets: [Matrix], film path: String, shape: ImageShape, columns: Int? = nil
  ) throws {
    let frames = sheets.map { ImageGrid.sheet($0, shape: shape, columns: columns) }
    guard let first = frames.first else { throw UserError("\(path): there are no images to write") }
    try File.writeAtomically(
      APNG.encode(
        width: first.width, height: first.height, channels: shape.channels,
        frames: frames.map(\.bytes), milliseconds: 100),
      to: path)
  }

  /// Writes sheets one after the other, if this is a film.
  package func write(film sheets: [Matrix], shape: ImageShape) throws {
    guard case .film(let path) = self else { return }
    try Self.write(sheets, film: path, shape: shape)
  }

  package var isFilm: Bool {
    if case .film = self { true } else { false }
  }

  /// Writes interpolations: on a sheet, every path is its reconstructions above its frames; in a film
  /// all paths move together, likewise; an array or a folder holds the frames only.
  public func write(
    _ paths: (frames: Matrix, reconstructions: Matrix?), frames: Int, shape: ImageShape
  ) throws {
    if case .film(let path) = self {
      let images = [paths.reconstructions, paths.frames].compactMap { $0 }
      let sheets = (0..<frames).map { frame in
        let places = Array(stride(from: frame, to: paths.frames.rows, by: frames))
        return Matrix.stacked(images.map { $0.rows(at: places) })
      }
      return try Self.write(
        sheets, film: path, shape: shape, columns: paths.frames.rows / frames)
    }
    guard case .sheet = self, let reconstructions = paths.reconstructions else {
      return try write(paths.frames, shape: shape, columns: frames)
    }
    let rows = stride(from: 0, to: paths.frames.rows, by: frames).flatMap { start in
      [reconstructions, paths.frames].map { $0.rows(start..<start + frames) }
    }
    try write(.stacked(rows), shape: shape, columns: frames)
  }
}
