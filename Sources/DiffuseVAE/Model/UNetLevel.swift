import Neural

/// The sizes at one level of the U-Net.
struct UNetLevel {
  /// The image's, halved level times.
  let map: MapShape

  let channels: Int

  /// Channels of the level above; at the top, its own. The encoder's block leads from them to
  /// `channels`, the decoder's back to them.
  let above: Int
}

extension DenoiserSettings {
  /// The levels of a U-Net for images of `shape`, from the top.
  func levels(shape: ImageShape) -> [UNetLevel] {
    var map = MapShape(height: shape.height, width: shape.width)
    return channels.indices.map { level in
      if level > 0 { map = map.thinned(by: 2) }
      return UNetLevel(
        map: map, channels: channels[level], above: channels[max(level - 1, 0)])
    }
  }

  /// Refuses images of a size that the network cannot work with.
  ///
  /// - Throws: ``UserError`` that says which sizes it can.
  package func check(shape: ImageShape) throws {
    guard kind != .exact || shape == TestBed.shape else {
      throw UserError("denoiser.kind exact takes images of \(TestBed.shape), not of \(shape)")
    }
    guard kind == .unet else { return }
    let factor = 1 << (channels.count - 1)
    guard shape.height.isMultiple(of: factor), shape.width.isMultiple(of: factor) else {
      let halvings = (shape.height | shape.width).trailingZeroBitCount
      throw UserError(
        """
        denoiser.channels of \(channels.count) levels takes images whose height and width are \
        multiples of \(factor); for \(shape) give at most \(halvings + 1)
        """)
    }
  }
}
