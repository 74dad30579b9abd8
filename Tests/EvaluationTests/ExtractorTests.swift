import DiffuseVAE
import Formats
import Neural
import Testing

@testable import Evaluation

@Suite struct ExtractorTests {
  @Test("200 updates tell more than 95 % of held-out digits apart, and probabilities say so")
  func accuracy() throws {
    let data = try digits()
    var losses: [Double] = []
    let extractor = try Extractor.fit(on: data, steps: 200, threads: 2) { losses.append($0.loss) }
    let accuracy = try #require(extractor.accuracy)
    #expect(accuracy > 0.95)
    #expect(extractor.origin?.isHeldOut == true)
    #expect(losses.count == 200 && losses.allSatisfy { $0 >= 0 })
    // An untrained classifier of ten classes is at ln 10 = 2.3.
    #expect(losses.suffix(10).reduce(0, +) < 10 * 0.5)

    let (test, labels) = (try #require(data.test), try #require(data.test?.labels))
    let outputs = try extractor.outputs(of: test, threads: 2)
    let p = try #require(outputs.probabilities)
    #expect(p.rows == labels.count && p.columns == 10)
    var right = 0
    for (row, label) in labels.enumerated() {
      let sum = p.rows(row..<row + 1).elements.reduce(0) { $0 + Double($1) }
      #expect(abs(sum - 1) < 1e-5)
      let larger = (0..<10).count { p[row, $0] > p[row, Int(label)] }
      if larger == 0 { right += 1 }
    }
    #expect(abs(accuracy - Double(right) / Double(labels.count)) < 1e-12)
  }

  @Test("The same seed gives the same bits with 1, 2 and 3 threads, another seed does not")
  func bits() throws {
    let data = try digits()
    let test = try #require(data.test)
    func outputs(seed: UInt64, threads: Int) throws -> Extractor.Outputs {
      try Extractor.fit(on: data, seed: seed, steps: 5, threads: threads)
        .outputs(of: test, threads: threads)
    }
    let first = try outputs(seed: 4, threads: 1)
    #expect(try outputs(seed: 4, threads: 2) == first)
    #expect(try outputs(seed: 4, threads: 3) == first)
    #expect(try outputs(seed: 5, threads: 2).features != first.features)
  }

  @Test("Images as bytes and as numbers have the same features, a row each")
  func kinds() throws {
    let data = try digits()
    let extractor = try Extractor.random(shape: data.shape)
    let pixels = Matrix(
      gathering: 0..<data.training.count, of: data.training.bytes, columns: 64, scale: 1 / 255)
    let features = try extractor.features(of: data.training, threads: 2)
    #expect(features.rows == 1500 && features.columns == Extractor.features)
    #expect(try extractor.features(of: pixels, threads: 1) == features)
    // A row is that of its image, up to rounding in products of other sizes.
    for row in [0, 127, 128, 700, 1499] {
      let alone = try extractor.features(of: pixels.rows(row..<row + 1), threads: 1)
      var difference = features.rows(row..<row + 1)
      difference.add(-1, alone)
      #expect(difference.squaredNorm < 1e-10 * alone.squaredNorm)
    }
    #expect(try extractor.features(of: Matrix(0, 64), threads: 2) == Matrix(0, 128))
  }

  @Test("Random features are always the same, tell images apart, and say what they are")
  func random() throws {
    let data = try digits()
    let (one, two) = (
      try Extractor.random(shape: data.shape), try Extractor.random(shape: data.shape)
    )
    let outputs = try one.outputs(of: data.training, threads: 2)
    #expect(try two.outputs(of: data.training, threads: 1) == outputs)
    #expect(outputs.probabilities == nil && one.accuracy == nil)
    #expect(one.description.hasPrefix("random features"))
    // Every feature varies, by far more than rounding.
    var mean = Matrix(1, Extractor.features)
    mean.add(rowsOf: outputs.features)
    mean.scale(-1 / Float(outputs.features.rows))
    var centred = outputs.features
    centred.add(toRows: mean)
    for c in 0..<Extractor.features {
      #expect(centred.columns(c..<c + 1).squaredNorm > 1e-8 * Double(centred.rows))
    }
    #expect(problem { try one.save(in: "x") } == "x: random features are not stored")
  }

  @Test("Images of any size train", arguments: [[1, 1, 1], [3, 9, 3], [2, 1, 4]])
  func sizes(shape: [UInt8]) throws {
    try inTemporaryFolder { folder in
      let data = try tiny(shape[0], shape[1], shape[2], labels: [0, 5, 0, 5, 255], in: folder)
      let extractor = try Extractor.fit(on: data, steps: 2, threads: 2)
      #expect(extractor.origin?.classes == 256)
      #expect(extractor.origin?.isHeldOut == false)
      #expect(extractor.description.hasSuffix("of its training images"))
      let outputs = try extractor.outputs(of: data.training, threads: 2)
      #expect(outputs.features.rows == 5 && outputs.features.isFinite)
    }
  }

  @Test("What cannot be an extractor is refused in a sentence")
  func mistakes() throws {
    try inTemporaryFolder { folder in
      let unlabelled = try tiny(2, 2, 1, labels: nil, in: folder)
      #expect(
        problem { try Extractor.fit(on: unlabelled, threads: 1) }.hasPrefix(
          "tiny: has no labels to train an extractor on; expected train-labels-idx1-ubyte (plain or"
        ))
      let same = try tiny(2, 2, 1, labels: [3, 3, 3], in: folder)
      #expect(
        problem { try Extractor.fit(on: same, threads: 1) }
          == "tiny: all labels are 3; an extractor needs two classes or more")
    }
    let extractor = try Extractor.random(shape: ImageShape(height: 8, width: 8, channels: 1))
    let large = ByteImages(count: 1, height: 4, width: 4, channels: 4, bytes: Array(0..<64))
    #expect(
      problem { try extractor.features(of: large, threads: 1) }
        == "images are 4x4x4; the extractor takes images of 8x8x1")
    #expect(
      problem { try extractor.features(of: Matrix(1, 63), threads: 1) }
        == "images are of 63 numbers; the extractor takes images of 8x8x1")
    let enormous = ImageShape(height: 65536, width: 65536, channels: 1)
    #expect(problem { try Extractor.random(shape: enormous) }.contains("of memory"))
  }
}
