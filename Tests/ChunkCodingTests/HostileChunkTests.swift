import ChunkCoding
import Compression
import Glibc
import Testing
import VitalModel

/// Nothing in a chunk's bytes makes a decoder trap or take more memory than the header's counts allow. Run with the address
/// sanitizer these also prove the bounds.
@Suite struct HostileChunkTests {
  let codec: ModelledCodec
  let decoder: ChunkDecoder

  init() throws {
    codec = try ModelledCodec(states: .builtIn, names: ModelledCodecTests.vital)
    decoder = try ChunkDecoder()
  }

  private func survives(_ bytes: [UInt8]) {
    do throws(ChunkError) {
      let result: Result<ChunkRows, ChunkError> = bytes.withUnsafeBytes { raw in
        Result { () throws(ChunkError) in try decoder.decode(raw) }
      }
      let rows = try result.get()
      #expect(rows.isWellFormed)
    } catch {
      _ = error.description
    }
    var flat = DecodedChunk()
    _ = bytes.withUnsafeBytes { raw in
      Result { () throws(ChunkError) in try decoder.decode(raw, into: &flat, only: [0, 2]) }
    }
  }

  /// Bytes with a checksum that fits, so that damage reaches the decoder proper.
  private func resealed(_ bytes: [UInt8]) -> [UInt8] {
    guard bytes.count > 4 else { return bytes }
    return PlainCodecTests().resealed(bytes)
  }

  private func small(_ seed: UInt64) throws -> [UInt8] {
    var generator = SplitMix64(state: seed)
    return try codec.encode(adversarialRows(&generator, rowsMax: 12))
  }

  /// Every bit turned over, every end cut off: with the old checksum refused, with a new one survived.
  @Test func everyDamageOfSmallChunks() throws {
    var bits = 0
    for seed in UInt64(1)... {
      let bytes = try small(seed)
      guard bytes.count < 160, bytes[1] == ModelledCodec.id else { continue }
      for index in bytes.indices {
        var bad = bytes
        bad[index] ^= 1 << UInt8(bits % 8)
        bits += 1
        #expect(throws: ChunkError.self) { try bad.withUnsafeBytes { try decoder.decode($0) } }
        survives(resealed(bad))
        let cut = Array(bytes[..<index])
        #expect(throws: ChunkError.self) { try cut.withUnsafeBytes { try decoder.decode($0) } }
        survives(resealed(cut))
      }
      if bits > 600 { break }
    }
  }

  /// Noise behind a sound front, one to six bytes at random. Longer with
  /// `VIGIL_FUZZ_SECONDS=7200 swift test -c release --filter mutatedChunks`.
  @Test func mutatedChunks() throws {
    let limit = getenv("VIGIL_FUZZ_SECONDS").flatMap { Int(String(cString: $0)) }
    let start = time(nil)
    var generator = SplitMix64(state: limit == nil ? 4242 : UInt64(bitPattern: Int64(start)))
    print("fuzz seed \(generator.state)")
    var rounds = 0
    while limit.map({ time(nil) - start < $0 }) ?? (rounds < 500) {
      rounds += 1
      var rowsGenerator = SplitMix64(state: UInt64(generator.below(1 << 30)))
      var bytes = try codec.encode(adversarialRows(&rowsGenerator, rowsMax: limit == nil ? 16 : 200))
      for _ in 0..<(limit == nil ? 1 : 20) {
        for _ in 0...generator.below(6) {
          let end = generator.chance(50) ? bytes.count : min(bytes.count, 48)
          bytes[generator.below(end)] = UInt8(truncatingIfNeeded: generator.next())
        }
        // Most keep version and codec, or nothing behind them would be reached.
        if generator.chance(90) { (bytes[0], bytes[1]) = (2, 2) }
        if generator.chance(10) { bytes.removeLast(generator.below(bytes.count - 1)) }
        if bytes.count < 8 { break }
        bytes = resealed(bytes)
        survives(bytes)
      }
    }
    print("fuzz: \(rounds) chunks")
  }

  @Test func aMissingSetIsNamed() throws {
    let trainer = StatesTrainer()
    var generator = SplitMix64(state: 8)
    let rows = rows(of: randomSlots(&generator, messages: 150, wild: false))
    for _ in 0..<6 { try trainer.add(rows: rows, names: ModelledCodecTests.vital) }
    let states = try trainer.finish(id: 77)
    #expect(states.id == 77 && !states.valueNames.isEmpty)
    let bytes = try ModelledCodec(states: states, names: ModelledCodecTests.vital).encode(rows)
    #expect(throws: ChunkError.missingStates(77)) { try bytes.withUnsafeBytes { try decoder.decode($0) } }
    let knowing = try ChunkDecoder(states: [try StartStates(bytes: states.bytes)])
    #expect(try bytes.withUnsafeBytes { try knowing.decode($0) } == rows)
    // Trained on these very rows, it must beat the untrained set.
    let untrained = try ModelledCodec(states: .untrained, names: ModelledCodecTests.vital).encode(rows)
    #expect(bytes.count < untrained.count)
  }

  @Test func hostileStartStatesAreRefused() throws {
    let good = StartStates.builtIn.bytes
    #expect(try StartStates(bytes: good).valueNames == StartStates.builtIn.valueNames)
    #expect(throws: ChunkError.truncated) { try StartStates(bytes: []) }
    #expect(throws: ChunkError.corrupt("start states")) { try StartStates(bytes: [UInt8](repeating: 0, count: 32)) }
    var bad = good
    bad[good.count / 2] ^= 1
    #expect(throws: ChunkError.checksum) { try StartStates(bytes: bad) }
    var generator = SplitMix64(state: 3)
    for _ in 0..<12 {
      bad = good
      for _ in 0...generator.below(3) {
        bad[generator.below(generator.chance(50) ? 60 : bad.count)] = UInt8(truncatingIfNeeded: generator.next())
      }
      if generator.chance(30) { bad.removeLast(generator.below(bad.count - 9)) }
      // CRC-32C bit by bit takes long over so many bytes; the product's own is tested against it elsewhere.
      bad = checksummed(bad)
      do throws(ChunkError) { _ = try StartStates(bytes: bad) } catch { _ = error.description }
    }
  }

  private func checksummed(_ bytes: [UInt8]) -> [UInt8] {
    let content = Array(bytes.dropLast(4))
    return content + withUnsafeBytes(of: Checksums.crc32c(content).littleEndian) { Array($0) }
  }
}
