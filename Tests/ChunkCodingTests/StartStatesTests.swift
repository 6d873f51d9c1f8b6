import ChunkCoding
import Glibc
import Testing
import VitalModel

@Suite struct StartStatesTests {
  /// Makes the built-in set anew: `VIGIL_TRAIN_STATES=FILE swift test -c release --filter trainsTheBuiltInSet`, then FILE is
  /// `Sources/ChunkCoding/BuiltInStates+Text.swift`. Chunks written from the old one need it for ever: a set whose bytes
  /// change gets another number.
  @Test(.enabled(if: getenv("VIGIL_TRAIN_STATES") != nil)) func trainsTheBuiltInSet() throws {
    guard let path = getenv("VIGIL_TRAIN_STATES") else { return }
    let trainer = StatesTrainer()
    for seed in 0..<2 {
      let simulated = SimulatedChunks(seed: 11 + UInt64(seed), patients: 48, seconds: 7200, rowsMax: 600)
      for rows in simulated.chunks { try trainer.add(rows: rows, names: simulated.name) }
    }
    let states = try trainer.finish(id: 1, keepsValues: false)
    var text = "// swift-format-ignore-file: lines of a text that nobody reads.\nextension BuiltInStates {\n"
    text += "  /// Set 1 in base 64: made by `StartStatesTests.trainsTheBuiltInSet`, not by hand.\n"
    text += "  static let text: StaticString = \"\"\"\n"
    let packed = base64(states.bytes)
    for start in stride(from: 0, to: packed.count, by: 300) {
      text += "    " + String(decoding: packed[start..<min(start + 300, packed.count)], as: UTF8.self) + "\n"
    }
    text += "    \"\"\"\n}\n"
    let file = try #require(fopen(path, "w"))
    fputs(text, file)
    fclose(file)
    print("\(states.bytes.count) bytes, \(states.valueNames.map(\.description)), \(states.stampKinds)")
  }

  /// The built-in set is what its page says, and is worth having on wards it was not trained on.
  @Test func theBuiltInSetSavesBytes() throws {
    let states = StartStates.builtIn
    #expect(states.id == 1 && states.bytes.count < 50_000)
    // Values of people are not taught by a simulator.
    #expect(states.valueNames == [.quality] && states.stampKinds.contains(.delays))
    let simulated = SimulatedChunks(seed: 5, patients: 3, seconds: 240, rowsMax: 120)
    let trained = try ModelledCodec(states: states, names: simulated.name)
    let untrained = try ModelledCodec(states: .untrained, names: simulated.name)
    let decoder = try ChunkDecoder()
    var bytes = (trained: 0, untrained: 0)
    for rows in simulated.chunks {
      let chunk = try trained.encode(rows)
      #expect(try chunk.withUnsafeBytes { try decoder.decode($0) } == rows)
      bytes.trained += trained.sizes.stamps + trained.sizes.values + trained.sizes.presence
      _ = try untrained.encode(rows)
      bytes.untrained += untrained.sizes.stamps + untrained.sizes.values + untrained.sizes.presence
    }
    #expect(bytes.trained * 100 < bytes.untrained * 99, "\(bytes)")
  }

  private func base64(_ bytes: [UInt8]) -> [UInt8] {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var text: [UInt8] = []
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let group = bytes[start..<min(start + 3, bytes.count)]
      let word = group.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << UInt32(8 * (3 - group.count))
      for place in 0..<(group.count + 1) { text.append(alphabet[Int(word >> UInt32(18 - 6 * place) & 63)]) }
    }
    return text
  }
}
