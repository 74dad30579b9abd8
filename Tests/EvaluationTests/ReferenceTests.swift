import Formats
import Neural
import Testing

@testable import DiffuseVAE
@testable import Evaluation

@Suite struct ReferenceTests {
  /// Far from what it could learn, but it tells some digits apart.
  static let classifier = Result { try Extractor.fit(on: digits(), steps: 20, threads: 2) }

  private func reference(
    _ extractor: Extractor? = nil, count: Int = 1500, seed: UInt64 = 0, threads: Int = 2
  ) throws -> Reference {
    try Reference(
      digits(), extractor: extractor ?? Self.classifier.get(), count: count, seed: seed,
      threads: threads)
  }

  private func noise(_ count: Int) -> ByteImages {
    let numbers = RandomStream(seed: 5, purpose: .component).integers(
      rows: 0..<64 * count, below: 256)
    return ByteImages(
      count: count, height: 8, width: 8, channels: 1, bytes: numbers.map { UInt8($0) })
  }

  @Test("The training images are no distance from themselves")
  func itself() throws {
    let scores = try reference().scores(of: digits().training)
    #expect((0...1e-6).contains(scores.frechet))
    let pixels = try #require(scores.pixelFrechet)
    #expect((0...1e-6).contains(pixels))
    #expect(scores.precision == 1 && scores.recall == 1)
    #expect(scores.classDistance == 0)
    #expect(scores.kernelLow <= 0 && 0 <= scores.kernelHigh)
    #expect(scores.kernelLow < scores.kernel && scores.kernel < scores.kernelHigh)
  }

  @Test("Scores are the same for any number of threads; the seed changes the kernel distance only")
  func repeatable() throws {
    let test = try #require(try digits().test)
    let scores = try reference(count: 297).scores(of: test)
    for threads in [1, 3] {
      #expect(try reference(count: 297, threads: threads).scores(of: test) == scores)
    }
    let other = try reference(count: 297, seed: 1).scores(of: test)
    #expect(other.kernel != scores.kernel)
    #expect(other.frechet == scores.frechet && other.pixelFrechet == scores.pixelFrechet)
    #expect(other.precision == scores.precision && other.recall == scores.recall)
    #expect(other.classDistance == scores.classDistance)
  }

  @Test("Noise scores worse than held-out images, everywhere")
  func worse() throws {
    let reference = try reference(count: 297)
    let test = try reference.scores(of: #require(try digits().test))
    let worse = try reference.scores(of: noise(297))
    #expect(worse.frechet > 2 * test.frechet)
    let (pixels, testPixels) = (try #require(worse.pixelFrechet), try #require(test.pixelFrechet))
    #expect(pixels > 2 * testPixels)
    #expect(worse.kernelLow > test.kernelHigh)
    #expect(worse.precision < 0.5 && test.precision > 0.5)
    #expect(worse.recall < 0.5 && test.recall > 0.5)
    let (distance, testDistance) = (
      try #require(worse.classDistance), try #require(test.classDistance)
    )
    #expect(distance > testDistance)
  }

  @Test("Negatives are as far in pixels as their means are: covariances are the same")
  func negatives() throws {
    let data = try digits().training
    let negatives = ByteImages(
      count: data.count, height: 8, width: 8, channels: 1, bytes: data.bytes.map { 255 - $0 })
    // 1 - x has the mean 1 - μ, and the covariance of x.
    let expected = (0..<64).reduce(0.0) { sum, pixel in
      let total = stride(from: pixel, to: data.bytes.count, by: 64).reduce(0) {
        $0 + Int(data.bytes[$1])
      }
      let shift = 1 - 2 * Double(total) / Double(255 * data.count)
      return sum + shift * shift
    }
    let found = try #require(try reference().scores(of: negatives).pixelFrechet)
    #expect(abs(found - expected) < 1e-5 * expected)
  }

  @Test("One training image again and again: precise, of one class, and it covers itself only")
  func collapsed() throws {
    let data = try digits()
    let one = data.training.slice(7..<8)
    let images = ByteImages(
      count: 50, height: 8, width: 8, channels: 1,
      bytes: (0..<50).flatMap { _ in one.bytes })
    let copies = (0..<1500).count { data.training.slice($0..<$0 + 1) == one }
    let reference = try reference()
    let scores = try reference.scores(of: images)
    #expect(scores.precision == 1)
    #expect(scores.recall == Double(copies) / 1500)
    let inception = try #require(scores.inceptionScore)
    #expect(abs(inception - 1) < 1e-6)
    // The share of all other classes.
    let probabilities = try #require(
      try reference.extractor.outputs(of: data.training, threads: 1).probabilities)
    let classes = (0..<1500).map { row in
      (0..<10).max { probabilities[row, $0] < probabilities[row, $1] }
    }
    let others = Double(classes.count { $0 != classes[7] }) / 1500
    let distance = try #require(scores.classDistance)
    #expect(abs(distance - others) < 1e-9)
  }

  @Test("Without a classifier nothing is said of classes")
  func random() throws {
    let extractor = try Extractor.random(shape: digits().shape)
    let scores = try reference(extractor, count: 100).scores(of: noise(20))
    #expect(scores.classDistance == nil && scores.inceptionScore == nil)
    #expect(scores.frechet > 0)
  }

  @Test("Neighbourhoods and kernels are compared with images from all over the set")
  func spread() throws {
    let (images, reference) = (try digits().training, try reference(count: 1000))
    #expect(reference.features.rows == 1000)
    // Two of every three.
    let features = try reference.extractor.features(of: images, threads: 2)
    let all = Array(0..<1500)
    #expect(reference.features == features.rows(at: all.filter { $0 % 3 != 2 }))
  }

  @Test(
    "Images are taken from all over a set that is sorted by its labels", arguments: [1, 4, 7, 99])
  func sorted(count: Int) {
    // 6, 7 and 12 images of the classes 0, 1 and 2, each of its class's brightness.
    let labels = [6, 7, 12].enumerated().flatMap { [UInt8](repeating: UInt8($0), count: $1) }
    let images = ByteImages(
      count: 25, height: 1, width: 2, channels: 1, bytes: labels.flatMap { [$0, $0] })
    let taken = images.taking(count)
    #expect(taken.count == min(count, 25) && taken.bytes.count == 2 * taken.count)
    for label: UInt8 in 0...2 {
      let share = Double(labels.count { $0 == label }) / 25 * Double(taken.count)
      let found = Double(taken.bytes.count { $0 == label }) / 2
      // Any run of images has so many of every r-th as its length over r, rounded up or down.
      #expect(abs(found - share) < 1)
    }
    #expect(count < 25 || taken == images)
  }

  @Test("Large images are compared without the covariance of their pixels")
  func large() throws {
    try inTemporaryFolder { folder in
      for (side, isCompared) in [(UInt8(64), true), (65, false)] {
        let data = try tiny(side, 64, 1, labels: nil, in: folder)
        let reference = try Reference(
          data, extractor: .random(shape: data.shape), count: 4, seed: 0, threads: 2)
        let scores = isCompared ? nil : try reference.scores(of: data.training)
        #expect((reference.pixelMoments != nil) == isCompared)
        #expect(scores?.pixelFrechet == nil)
      }
    }
  }

  @Test("Too few images, and images of another size, are refused")
  func mistakes() throws {
    let reference = try reference(count: 20)
    expectUserError("3 images cannot be scored; it takes 4 or more") {
      _ = try reference.scores(of: noise(3))
    }
    expectUserError("images are 4x4x1; the extractor takes images of 8x8x1") {
      _ = try reference.scores(
        of: ByteImages(
          count: 4, height: 4, width: 4, channels: 1, bytes: [UInt8](repeating: 0, count: 64)))
    }
    try inTemporaryFolder { folder in
      let data = try tiny(2, 2, 1, labels: [0, 1, 2], in: folder)
      expectUserError("tiny: 3 training images are too few") {
        _ = try Reference(
          data, extractor: .random(shape: data.shape), count: 10, seed: 0, threads: 1)
      }
    }
    #expect(try reference.scores(of: noise(4)).precision >= 0)
  }
}
