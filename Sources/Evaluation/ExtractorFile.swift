import DiffuseVAE
import Formats
import Foundation

extension Extractor {
  /// Counts up when the network or its training changes: what was stored before is refused.
  static let version = "1"

  /// Where the extractor of a data set is kept: `NAME-FINGERPRINT.safetensors` in `folder`.
  public static func path(for data: Dataset, in folder: String) -> String {
    path(data.name, data.fingerprint(), folder)
  }

  private static func path(_ name: String, _ fingerprint: String, _ folder: String) -> String {
    let name = String(name.map { $0 == "/" ? "-" : $0 })
    return "\(folder)/\(name)-\(fingerprint).safetensors"
  }

  /// Stores a trained extractor in `folder`, which is made if need be.
  ///
  /// - Returns: the path of the file.
  /// - Throws: ``UserError`` when the folder cannot be made or these are random features, which
  ///   need no file; `FormatError` when the file cannot be written.
  @discardableResult public func save(in folder: String) throws -> String {
    guard let origin else { throw UserError("\(folder): random features are not stored") }
    try makeFolder(folder)
    let metadata = [
      "part": "extractor", "version": Self.version, "data": origin.data,
      "fingerprint": origin.fingerprint, "image": shape.description,
      "classes": String(origin.classes), "seed": String(origin.seed),
      "accuracy": String(origin.accuracy), "held_out": String(origin.isHeldOut),
    ]
    let path = Self.path(origin.data, origin.fingerprint, folder)
    try Weights.file(of: classifier, metadata: metadata).write(to: path)
    return path
  }

  /// The extractor of a data set, if it is stored in `folder`.
  ///
  /// - Returns: nil when there is none.
  /// - Throws: `FormatError` when the file is damaged, or belongs to other data or to another
  ///   version of the program.
  public static func load(for data: Dataset, in folder: String) throws -> Extractor? {
    let fingerprint = data.fingerprint()
    let path = path(data.name, fingerprint, folder)
    guard FileManager.default.fileExists(atPath: path) else { return nil }
    let file = try SafeTensors.read(path)
    func problem(_ text: String) -> FormatError { FormatError(file: path, problem: text) }
    guard file.metadata["part"] == "extractor" else { throw problem("is not an extractor") }
    guard file.metadata["version"] == version else {
      throw problem("was made by another version of this program; delete it to train it anew")
    }
    guard file.metadata["fingerprint"] == fingerprint,
      file.metadata["image"] == data.shape.description
    else { throw problem("was trained on other images or labels than those of \(data.name)") }
    guard let classes = file.metadata["classes"].flatMap({ Int($0) }), (2...256).contains(classes),
      let seed = file.metadata["seed"].flatMap({ UInt64($0) }),
      let accuracy = file.metadata["accuracy"].flatMap({ Double($0) }), (0...1).contains(accuracy),
      let isHeldOut = file.metadata["held_out"].flatMap({ Bool($0) })
    else { throw problem("is damaged: its classes, seed or accuracy cannot be read") }
    try checkMemory(bytes: bytes(data.shape, classes: classes, images: 1), path)
    var classifier = Classifier(shape: data.shape, classes: classes, seed: seed)
    try Weights.decode(file, into: &classifier, path: path)
    let origin = Origin(
      data: data.name, fingerprint: fingerprint, classes: classes, seed: seed, accuracy: accuracy,
      isHeldOut: isHeldOut)
    return Extractor(classifier, shape: data.shape, origin: origin)
  }
}
