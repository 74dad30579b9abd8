import Formats
import Foundation
import Testing

@testable import DiffuseVAE

@Suite struct DatasetTests {
  @Test("The digits come with the label of each image")
  func digits() throws {
    let data = try Dataset(DataSettings())
    #expect(data.training.labels?.prefix(12) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1])
    #expect(data.training.labels?.count == data.training.count)
    #expect(data.test?.labels?.count == data.test?.count)
    // zcat digits.csv.gz | awk -F, 'NR > 1500 {print $65}' | head -8 | xargs
    #expect(data.test?.labels?.prefix(8) == [1, 7, 4, 6, 3, 1, 3, 9])
  }

  @Test("Labels of IDX files are kept, and may be missing")
  func files() throws {
    try inTemporaryFolder { folder in
      func write(
        _ name: String, _ dimensions: [UInt8], _ bytes: [UInt8], in folder: String = folder
      ) throws {
        let rank = UInt8(dimensions.count)
        let header: [UInt8] = [0, 0, 8, rank] + dimensions.flatMap { [0, 0, 0, $0] as [UInt8] }
        try File.writeAtomically(header + bytes, to: "\(folder)/\(name)-ubyte")
      }
      try write("train-images-idx3", [2, 1, 1], [7, 9])
      var settings = DataSettings()
      (settings.set, settings.folder) = ("two", folder)
      #expect(try Dataset(settings).training.labels == nil)
      try write("train-labels-idx1", [2], [1, 0])
      try write("t10k-images-idx3", [1, 1, 1], [5])
      #expect(try Dataset(settings).training.labels == [1, 0])
      #expect(try Dataset(settings).test?.labels == nil)
      try write("t10k-labels-idx1", [1], [3])
      #expect(try Dataset(settings).test?.labels == [3])
      try write("t10k-labels-idx1", [2], [3, 3])
      #expect(problem { try Dataset(settings) }.hasSuffix("2 labels for 1 images"))
      // A folder of the set's name comes before what lies beside it.
      try FileManager.default.createDirectory(
        atPath: folder + "/two", withIntermediateDirectories: false)
      try write("train-images-idx3", [1, 1, 1], [3], in: folder + "/two")
      #expect(try Dataset(settings).training.bytes == [3])
    }
  }
}
