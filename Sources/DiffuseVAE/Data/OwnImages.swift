import Formats
import Neural

extension Dataset {
  /// A set of images of your own, from memory.
  ///
  /// - Parameters:
  ///   - name: what messages call it.
  ///   - shape: of every image; of 1, 3 or 4 channels.
  ///   - training: `[images, height·width·channels]`, a row for each image, the channel running fastest;
  ///     pixels In [0, 1], which are kept as bytes, to the nearest 1/255.
  ///   - validation: how many of them are held out to choose weights by, as `data.validation` says of a
  ///     configuration's set.
  ///   - labels: the classes of the training images, each In 0...255; nil where they are not known.
  ///   - test: held-out images, likewise; nil for none.
  ///   - testLabels: their classes.
  /// - Throws: ``UserError`` when there are no images, or when they are not as they must be.
  public init(
    name: String, shape: ImageShape, training: Matrix, labels: [Int]? = nil, validation: Int = 0,
    test: Matrix? = nil, testLabels: [Int]? = nil
  ) throws {
    guard shape.isDrawable else {
      throw UserError(
        "\(name): images are \(shape); they must have 1, 3 or 4 channels and at most 2^20 numbers")
    }
    self.name = name
    self.shape = shape
    entropy = nil
    var training = try ByteImages(training, labels, shape, "\(name), training images")
    self.validation = try training.holdOut(validation, name: name)
    self.training = training
    self.test = try test.map { try ByteImages($0, testLabels, shape, "\(name), test images") }
  }

  /// The numbers of the training images: `training[range]` as it was given, without what is held out, to the
  /// nearest 1/255.
  ///
  /// - Returns: `[range.count, height·width·channels]` in [0, 1].
  /// - Precondition: there are such images.
  public func trainingPixels(_ range: Range<Int>) -> Matrix { training.pixels(range) }
}

extension ByteImages {
  /// - Parameter name: for errors.
  fileprivate init(_ pixels: Matrix, _ labels: [Int]?, _ shape: ImageShape, _ name: String) throws {
    guard pixels.rows > 0, pixels.columns == shape.count else {
      throw UserError(
        "\(name): are \(pixels.rows) by \(pixels.columns) numbers; expected a row of \(shape.count) "
          + "for each image of \(shape), and one image at least")
    }
    guard pixels.elements.allSatisfy({ (0...1).contains($0) }) else {
      throw UserError("\(name): numbers must be in [0, 1]")
    }
    self.init(pixels, shape: shape)
    guard let labels else { return }
    let classes = labels.compactMap { UInt8(exactly: $0) }
    guard labels.count == count, classes.count == count else {
      throw UserError("\(name): need \(count) labels in 0...255, one for each image")
    }
    self.labels = classes
  }
}
