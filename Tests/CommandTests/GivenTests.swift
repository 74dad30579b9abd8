import Foundation
import Testing

/// Images that are made of what the user brings.
@Suite(.serialized) struct GivenTests {
  private func trained() throws -> Place {
    let place = try Place()
    let result = try place.run("diffusevae-train", "--config", "small.yaml")
    try #require(result.status == 0, "\(result.errors)")
    return place
  }

  @Test("Exported latents and noise, given back, draw the same bytes")
  func roundTrip() throws {
    let place = try trained()
    defer { place.remove() }
    func sample(_ out: String, _ arguments: String...) throws -> [UInt8] {
      let result = try place.run("diffusevae-sample", arguments + ["--out", out])
      #expect(result.status == 0, "\(result.errors)")
      return try place.read(out)
    }
    let drawn = try sample(
      "a.npy", "--count", "5", "--seed", "3", "--export-z", "z.npy", "--export-xT", "x.npy")
    #expect(try place.size("z.npy") == 128 + 5 * 4 * 4)
    #expect(try place.size("x.npy") == 128 + 5 * 64 * 4)
    #expect(try sample("b.npy", "--z", "z.npy", "--xT", "x.npy") == drawn)
    // The seed has the noise, too; of another seed only the latents are the same.
    #expect(try sample("c.npy", "--z", "z.npy", "--seed", "3") == drawn)
    #expect(try sample("d.npy", "--z", "z.npy", "--seed", "4") != drawn)
    _ = try sample(
      "f.npz", "--count", "5", "--seed", "3", "--export-z", "z.npz", "--export-xT", "x.NPZ")
    #expect(try sample("g.npy", "--z", "z.npz", "--xT", "x.NPZ") == drawn)
    // The header says how many there are, the images follow it.
    let two = try sample("e.npy", "--z", "z.npy", "--xT", "x.npy", "--count", "2")
    #expect(two.dropFirst(128).elementsEqual(drawn[128..<128 + 2 * 256]))
  }

  @Test("Real images are refined; by an exact denoiser and with their own x_T they come back")
  func images() throws {
    let place = try trained()
    defer { place.remove() }
    func sample(_ arguments: String...) throws -> Place.Result {
      let result = try place.run("diffusevae-sample", arguments)
      try #require(result.status == 0, "\(result.errors)")
      return result
    }
    let refined = try sample("--from", "dataset:3", "--count", "4", "--out", "a")
    #expect(refined.errors.contains("PSNR to the given images: "))
    // From the files that were written.
    _ = try sample("--from", "a", "--out", "b.png")
    _ = try sample("--from", "a/00001.png", "--out", "c.png")

    try place.write("data: {set: gaussian}\ndiffusion: {formulation: none}\n", to: "exact.yaml")
    let exact = try place.run(
      "diffusevae-train", "--config", "exact.yaml", "--set", "denoiser.kind=exact", "--set",
      "training.denoiser.steps=1")
    try #require(exact.status == 0, "\(exact.errors)")
    let inverted = try sample(
      "--from", "dataset:3", "--count", "4", "--invert", "--steps", "50", "--out", "d",
      "--export-xT", "x.npy")
    let ratio = inverted.errors.firstMatch(of: /dB on average, (\S+) dB at least/)
    #expect(try #require(ratio.flatMap { Double($0.1) }) > 50, "\(inverted.errors)")
    _ = try sample("--xT", "x.npy", "--steps", "50", "--sampler", "ddim", "--out", "e")
    #expect(try place.read("e/00002.png") == place.read("d/00002.png"))
  }

  @Test("What is given and does not fit is named")
  func mistakes() throws {
    let place = try trained()
    defer { place.remove() }
    func refuse(_ sentence: String, _ command: String, _ arguments: String...) throws {
      let result = try place.run(command, arguments)
      #expect(result.status != 0 && !result.crashed && result.output.isEmpty)
      #expect(result.errors.contains(sentence), "\(result.errors)")
    }
    let sample = "diffusevae-sample"
    try place.write("not numbers", to: "text.npy")
    #expect(try place.run(sample, "--count", "2", "--export-z", "z.npy").status == 0)
    try refuse("text.npy: is not an NPY file", sample, "--z", "text.npy")
    try refuse("z.npy: is of shape [2, 4]; expected [N, 8, 8, 1]", sample, "--xT", "z.npy")
    try refuse("z.npy: is of 2 images; 3 are to be drawn", sample, "--z", "z.npy", "--count", "3")
    try refuse("none.png: no such file", sample, "--from", "none.png")
    try refuse("digits: has images 0...296 here", sample, "--from", "dataset:297")
    try refuse(
      "--sampler ddim and --eta 0 only", sample, "--from", "dataset:1", "--invert", "--eta", "0.5")
    try refuse(
      "--sampler ddim and --eta 0 only", sample, "--from", "dataset:1", "--invert", "--sampler",
      "heun")
    try refuse(
      "two images or more", "interpolate", "--space", "z", "--through", "dataset:1")
    try refuse(
      "do not differ", "interpolate", "--space", "both", "--through", "sample:1", "sample:1")
    try refuse("no folder none", sample, "--count", "1", "--export-z", "none/z.npy")
    try refuse("must end in .npy", sample, "--count", "1", "--export-z", "z.png")
    try refuse(
      "different files", sample, "--count", "1", "--export-z", "a.npy", "--out", "a.npy")
    try refuse("no training image of class 12", sample, "--probe", "12")
    try refuse("no training image of class 12", sample, "--to-class", "12")
    try refuse("strength must be", sample, "--probe", "1", "--strength", "1e39")
    try refuse("strength must be", sample, "--to-class", "1", "--strength", "1e39")
    try refuse("noise temperature is", sample, "--noise-temperature", "1e39")
  }

  @Test("Latents are moved by classes, a probe and files; what is shared is the same")
  func changes() throws {
    let place = try trained()
    defer { place.remove() }
    func latents(_ arguments: String...) throws -> [UInt8] {
      let result = try place.run(
        "diffusevae-sample", arguments + ["--count", "2", "--out", "a", "--export-z", "z.npy"])
      try #require(result.status == 0, "\(result.errors)")
      try FileManager.default.removeItem(atPath: place.folder + "/a")
      return Array(try place.read("z.npy").dropFirst(128))
    }
    let plain = try latents()
    #expect(try latents("--plus", "class:3", "--minus", "class:3") == plain)
    #expect(try latents("--plus", "class:3", "--minus", "class:5") != plain)
    #expect(try latents("--plus", "class:3", "--strength", "0") == plain)
    #expect(try latents("--probe", "4", "--strength", "2") != plain)
    #expect(try latents("--from", "class:8") != plain)
    // Nothing moves to the class that it is of already; no image is of two.
    #expect(try latents("--to-class", "4") != latents("--to-class", "7"))
    #expect(try latents("--to-class", "4", "--strength", "0") == plain)
    let shared = try latents("--share", "z")
    #expect(shared == Array(plain[..<16]) + Array(plain[..<16]))
    #expect(try latents("--share", "xT", "--noise-temperature", "0.5") == plain)
    let path = try place.run(
      "interpolate", "--space", "z", "--traverse", "0", "3", "--frames", "3", "--out", "b")
    #expect(path.status == 0, "\(path.errors)")
    #expect(try FileManager.default.contentsOfDirectory(atPath: place.folder + "/b").count == 6)
  }

  @Test("A standard output that takes nothing is an error")
  func fullOutput() throws {
    let place = try trained()
    defer { place.remove() }
    let command = Place.command("diffusevae-sample")
    let result = try place.shell(
      "cd '\(place.folder)' && '\(command)' --count 1 --out a.png > /dev/full")
    #expect(result.status == 74 && result.errors.contains("standard output: cannot be written"))
    #expect(place.has("a.png"))
  }

  @Test("A path through images, latents and samples meets each of them")
  func path() throws {
    let place = try trained()
    defer { place.remove() }
    func run(_ command: String, _ arguments: String...) throws {
      let result = try place.run(command, arguments)
      try #require(result.status == 0, "\(result.errors)")
    }
    try run("diffusevae-sample", "--count", "1", "--out", "a", "--export-z", "z.npy")
    try run(
      "interpolate", "--space", "z", "--through", "sample:0", "dataset:2", "z:z.npy", "--frames",
      "4",
      "--out", "b")
    #expect(try FileManager.default.contentsOfDirectory(atPath: place.folder + "/b").count == 7)
    #expect(try place.read("b/00000.png") == place.read("a/00000.png"))
    // The latent of the last anchor is that of the first.
    #expect(try place.read("b/00006.png") == place.read("a/00000.png"))
    #expect(try place.read("b/00003.png") != place.read("a/00000.png"))
    let both = try place.run(
      "interpolate", "--space", "both", "--through", "dataset:1", "dataset:2", "--invert")
    #expect(both.status == 0, "\(both.errors)")
    #expect(both.output == "runs/small/interpolation-both.png\n")
    #expect(both.errors.contains("from the one before it"))
  }
}
