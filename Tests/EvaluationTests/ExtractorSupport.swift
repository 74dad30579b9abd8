import Formats
import Foundation
import Neural

@testable import DiffuseVAE
@testable import Evaluation

/// Calls `body` with a fresh folder that is removed afterwards.
func inTemporaryFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
  let folder = NSTemporaryDirectory() + "diffusevae-test-" + UUID().uuidString
  try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(atPath: folder) }
  return try body(folder)
}

/// The text of the error that `body` throws.
func problem<Result>(_ body: () throws -> Result) -> String {
  do {
    _ = try body()
    return "no error"
  } catch {
    return "\(error)"
  }
}

/// The built-in digits.
func digits() throws -> Dataset { try Dataset(DataSettings()) }

/// A set called `tiny` of images of one shape, written to `folder` and read from there: image i is
/// i everywhere.
func tiny(
  _ height: UInt8, _ width: UInt8, _ channels: UInt8, labels: [UInt8]?, in folder: String
) throws -> Dataset {
  func write(_ name: String, _ dimensions: [UInt8], _ bytes: [UInt8]) throws {
    let rank = UInt8(dimensions.count)
    let header: [UInt8] = [0, 0, 8, rank] + dimensions.flatMap { [0, 0, 0, $0] as [UInt8] }
    try File.writeAtomically(header + bytes, to: "\(folder)/train-\(name)-ubyte")
  }
  let count = UInt8(labels?.count ?? 4)
  let size = Int(height) * Int(width) * Int(channels)
  try write(
    "images-idx3", [count, height, width, channels],
    (0..<count).flatMap { [UInt8](repeating: $0, count: size) })
  if let labels { try write("labels-idx1", [count], labels) }
  var settings = DataSettings()
  (settings.set, settings.folder) = ("tiny", folder)
  return try Dataset(settings)
}
