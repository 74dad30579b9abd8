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

  private func write(_ bytes: [UInt8], _ path: String) throws {
    let folder = (path as NSString).deletingLastPathComponent
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try File.writeAtomically(bytes, to: path)
  }

  /// A batch of plain images, each of one colour, and its records.
  private func batch(_ images: [(label: UInt8, red: UInt8, green: UInt8, blue: UInt8)]) -> [UInt8] {
    images.flatMap { image in
      [image.label]
        + [image.red, image.green, image.blue].flatMap { [UInt8](repeating: $0, count: 1024) }
    }
  }

  @Test("Batches of CIFAR-10 are read in the order of their numbers, without gaps")
  func cifar() throws {
    try inTemporaryFolder { folder in
      let settings = DataSettings(set: "cifar-10", folder: folder)
      let inside = folder + "/cifar-10-batches-bin"
      try write(batch([(3, 1, 2, 3), (9, 4, 5, 6)]), inside + "/data_batch_1.bin")
      #expect(try Dataset(settings).test == nil)
      try write(batch([(0, 7, 8, 9)]), inside + "/data_batch_2.bin")
      try write(batch([(5, 10, 11, 12)]), inside + "/test_batch.bin")
      let data = try Dataset(settings)
      #expect(data.shape == ImageShape(height: 32, width: 32, channels: 3))
      #expect(data.training.labels == [3, 9, 0] && data.test?.labels == [5])
      let pixels: [[UInt8]] = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
      #expect(
        data.training.bytes == pixels.flatMap { pixel in (0..<1024).flatMap { _ in pixel } })
      try write(batch([(0, 7, 8, 9)]), inside + "/data_batch_4.bin")
      #expect(problem { try Dataset(settings) }.hasPrefix(inside + "/data_batch_3.bin: "))
    }
  }

  /// An NPY file of bytes.
  private func npy(_ shape: [Int], _ bytes: [UInt8], type: String = "|u1") -> [UInt8] {
    let sizes = shape.map { "\($0), " }.joined()
    let header = "{'descr': '\(type)', 'fortran_order': False, 'shape': (\(sizes)), }\n"
    return [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(header.utf8.count), 0] + header.utf8 + bytes
  }

  @Test("Arrays are a set, with labels or without")
  func arrays() throws {
    try inTemporaryFolder { folder in
      let settings = DataSettings(set: "mine", folder: folder)
      try write(npy([2, 1, 2, 3], Array(0..<12)), folder + "/mine/train-images.npy")
      var data = try Dataset(settings)
      #expect(data.shape == ImageShape(height: 1, width: 2, channels: 3))
      #expect(data.training.bytes == Array(0..<12))
      #expect(data.training.labels == nil && data.test == nil)
      try write(npy([2], [4, 1]), folder + "/mine/train-labels.npy")
      try write(npy([1, 1, 2, 3], Array(12..<18)), folder + "/mine/test-images.npy")
      data = try Dataset(settings)
      #expect(data.training.labels == [4, 1] && data.test?.bytes == Array(12..<18))

      try write(npy([1, 2, 1, 3], Array(12..<18)), folder + "/mine/test-images.npy")
      #expect(
        problem { try Dataset(settings) } == "mine: test images are 2x1x3, training images 1x2x3")
      try write(npy([3], [4, 1, 1]), folder + "/mine/train-labels.npy")
      #expect(problem { try Dataset(settings) }.hasSuffix("labels.npy: 3 labels for 2 images"))
      try write(
        npy([2], [0, 0, 0, 0, 0, 0, 128, 63], type: "<f4"), folder + "/mine/train-labels.npy")
      #expect(problem { try Dataset(settings) }.contains("labels must be bytes (uint8)"))
      for shape in [[], [6], [2, 6], [1, 1, 1, 2, 3], [0, 1, 2]] {
        let bytes = [UInt8](repeating: 1, count: shape.reduce(1, *))
        try write(npy(shape, bytes), folder + "/mine/train-images.npy")
        let text = problem { try Dataset(settings) }
        #expect(
          text.contains("expected [N, H, W, C]") || text.contains("number of images is 0"),
          "\(text)")
      }
    }
  }

  @Test("A folder of PNG files is a set; its folders are classes in the order of their names")
  func folders() throws {
    try inTemporaryFolder { folder in
      let settings = DataSettings(set: "pictures", folder: folder)
      func png(_ name: String, _ values: [UInt8], width: Int = 2) throws {
        try write(
          PNG.encode(width: width, height: 1, channels: 1, bytes: values), "\(folder)/\(name)")
      }
      try png("train/b.png", [3, 4])
      try png("train/a.png", [1, 2])
      var data = try Dataset(settings)
      #expect(data.training.bytes == [1, 2, 3, 4] && data.training.labels == nil)
      #expect(data.test == nil)

      try png("pictures/train/dog/1.png", [5, 6])
      try png("pictures/train/cat/1.png", [7, 8])
      try png("pictures/train/cat/2.png", [9, 10])
      try png("pictures/test/dog/1.png", [11, 12])
      data = try Dataset(settings)
      #expect(data.training.bytes == [7, 8, 9, 10, 5, 6] && data.training.labels == [0, 0, 1])
      #expect(data.test?.bytes == [11, 12] && data.test?.labels == [1])

      try png("pictures/test/bird/1.png", [11, 12])
      #expect(problem { try Dataset(settings) }.contains("test/bird: there is no such class in"))
      try FileManager.default.removeItem(atPath: folder + "/pictures/test")
      try png("pictures/train/dog/2.png", [1, 2, 3], width: 3)
      #expect(problem { try Dataset(settings) }.hasSuffix("is 1x3x1, and not 1x2x1"))
    }
  }

  @Test("Mirror images follow the training images, with their labels, and held-out ones have none")
  func flip() throws {
    try inTemporaryFolder { folder in
      let bytes = (0..<24).map { UInt8($0) }
      try write(npy([2, 2, 2, 3], bytes), folder + "/train-images.npy")
      try write(npy([2], [4, 1]), folder + "/train-labels.npy")
      try write(npy([2, 2, 2, 3], bytes), folder + "/test-images.npy")
      let plain = DataSettings(set: "mine", folder: folder)
      let data = try Dataset(DataSettings(set: "mine", folder: folder, flip: true))
      let lines: [[UInt8]] = [
        [3, 4, 5, 0, 1, 2], [9, 10, 11, 6, 7, 8], [15, 16, 17, 12, 13, 14],
        [21, 22, 23, 18, 19, 20],
      ]
      #expect(data.training.bytes == bytes + lines.flatMap { $0 })
      #expect(data.training.labels == [4, 1, 4, 1])
      #expect(data.test?.bytes == bytes)
      #expect(try data.fingerprint() != Dataset(plain).fingerprint())
    }
  }
}
