import Compression

/// The stored form of start states: `docs/formats/chunk.md`.
struct StoredStates {
  private(set) var id: UInt32 = 0
  private(set) var valueNames: [StartStates.Name] = []
  private(set) var stampKinds: [StartStates.StampKind] = []
  /// All models' words: the value models', the untrained first, then the stamp models'.
  private(set) var words: [UInt32] = []

  private static let magic: [UInt8] = Array("VGST".utf8)
  private static let formatVersion: UInt8 = 1
  /// A slot counts no more than this, so that a chunk can still turn it.
  private static let countMax: UInt32 = 255
  private static let vitalBytesMax = 64

  // MARK: Writing

  static func bytes(
    id: UInt32, values: [(name: StartStates.Name, words: [UInt32])],
    stamps: [(kind: StartStates.StampKind, words: [UInt32])]
  ) throws(ChunkError) -> [UInt8] {
    var writer = ByteWriter()
    writer.append(raw: magic)
    writer.append(formatVersion)
    writer.append(varint: UInt64(id))
    writer.append(varint: UInt64(values.count))
    writer.append(varint: UInt64(stamps.count))
    for value in values {
      writer.append(counted: value.name.vital)
      writer.append(value.name.cadence.rawValue)
      writer.append(value.name.unrest.rawValue)
    }
    for stamp in stamps { writer.append(stamp.kind.rawValue) }
    let models =
      values.map { (words: $0.words, slots: ValueModel.slotCount) }
      + stamps.map { (words: $0.words, slots: StampModel.slotCount) }
    var planes: [UInt8] = []
    for model in models { append(model.words, slots: model.slots, to: &planes) }
    do throws(CompressionError) {
      writer.append(raw: try ZstdCompressor(level: 19).compress(planes))
    } catch {
      throw .outOfMemory
    }
    writer.append(littleEndian: Checksums.crc32c(writer.bytes))
    return writer.bytes
  }

  /// Counts, upper bytes and lower bytes of the probabilities, then the weights in 1/8: like by like, for zstd.
  private static func append(_ words: [UInt32], slots: Int, to planes: inout [UInt8]) {
    for word in words[..<slots] { planes.append(UInt8(min(countMax, word & 1023))) }
    for word in words[..<slots] { planes.append(UInt8(word >> 24)) }
    for word in words[..<slots] { planes.append(UInt8(word >> 16 & 255)) }
    for word in words[slots...] {
      // What saturated inputs taught for long may be larger than it is kept.
      let weight = Int16(clamping: Int32(bitPattern: word) >> 3)
      planes.append(UInt8(truncatingIfNeeded: weight))
      planes.append(UInt8(truncatingIfNeeded: weight >> 8))
    }
  }

  // MARK: Reading

  init(_ bytes: [UInt8]) throws(ChunkError) {
    guard bytes.count >= 9 else { throw .truncated }
    guard bytes.starts(with: StoredStates.magic) else { throw .corrupt("start states") }
    let result: Result<StoredStates, ChunkError> = bytes.withUnsafeBytes { raw in
      Result { () throws(ChunkError) in try StoredStates(raw) }
    }
    self = try result.get()
  }

  private init(_ bytes: UnsafeRawBufferPointer) throws(ChunkError) {
    let content = UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count - 4)])
    let stored = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: bytes.count - 4, as: UInt32.self))
    guard Checksums.crc32c(content) == stored else { throw .checksum }
    let version = bytes[StoredStates.magic.count]
    guard version == StoredStates.formatVersion else { throw .unknownVersion(version) }
    var reader = ByteReader(content)
    try reading("start states") { () throws(ByteError) in
      try reader.skip(StoredStates.magic.count + 1)
      id = UInt32(try reader.count(limit: Int(UInt32.max)))
    }
    // Set 0 is the untrained one, whose number no file may claim.
    guard id != 0 else { throw .corrupt("start states") }
    try readNames(&reader)
    try readModels(&reader)
  }

  private mutating func readNames(_ reader: inout ByteReader) throws(ChunkError) {
    var counts = (values: 0, stamps: 0)
    try reading("start states") { () throws(ByteError) in
      counts.values = try reader.count(limit: StartStates.modelsMax)
      counts.stamps = try reader.count(limit: StartStates.modelsMax)
    }
    for _ in 0..<counts.values {
      var vital = ""
      var bytes: (UInt8, UInt8) = (0, 0)
      try reading("start states") { () throws(ByteError) in
        vital = try reader.countedString()
        bytes = (try reader.byte(), try reader.byte())
      }
      guard vital.utf8.count <= StoredStates.vitalBytesMax, let cadence = StartStates.Cadence(rawValue: bytes.0),
        let unrest = StartStates.Unrest(rawValue: bytes.1)
      else { throw .corrupt("start states") }
      valueNames.append(.init(vital: vital, cadence: cadence, unrest: unrest))
    }
    for _ in 0..<counts.stamps {
      let byte = try reading("start states") { () throws(ByteError) in try reader.byte() }
      guard let kind = StartStates.StampKind(rawValue: byte) else { throw .corrupt("start states") }
      stampKinds.append(kind)
    }
  }

  private mutating func readModels(_ reader: inout ByteReader) throws(ChunkError) {
    let valueBytes = StoredStates.planeBytes(words: ValueModel.wordCount, slots: ValueModel.slotCount)
    let stampBytes = StoredStates.planeBytes(words: StampModel.wordCount, slots: StampModel.slotCount)
    let byteCount = valueNames.count * valueBytes + stampKinds.count * stampBytes
    let frame = try reading("start states") { () throws(ByteError) in try reader.raw(reader.left) }
    let planes: [UInt8]
    do throws(CompressionError) {
      planes = try ZstdDecompressor().decompress(frame, limit: byteCount)
    } catch {
      throw error == .outOfMemory ? .outOfMemory : .corrupt("start states")
    }
    guard planes.count == byteCount else { throw .corrupt("start states") }
    words.reserveCapacity(
      (valueNames.count + 1) * ValueModel.wordCount + (stampKinds.count + 1) * StampModel.wordCount)
    var rest = planes[...]
    words += ValueModel.fresh
    for _ in valueNames { append(ValueModel.wordCount, slots: ValueModel.slotCount, from: &rest) }
    words += StampModel.fresh
    for _ in stampKinds { append(StampModel.wordCount, slots: StampModel.slotCount, from: &rest) }
  }

  private static func planeBytes(words: Int, slots: Int) -> Int { slots * 3 + (words - slots) * 2 }

  /// Any byte is a sound one: every word that comes of it is a slot or weight the coder can work with.
  private mutating func append(_ wordCount: Int, slots: Int, from planes: inout ArraySlice<UInt8>) {
    let start = planes.startIndex
    for slot in start..<(start + slots) {
      let probability = UInt32(planes[slot + slots]) << 24 | UInt32(planes[slot + 2 * slots]) << 16
      words.append(probability | UInt32(planes[slot]))
    }
    var next = start + 3 * slots
    for _ in slots..<wordCount {
      let weight = Int32(Int16(truncatingIfNeeded: Int(planes[next]) | Int(planes[next + 1]) << 8)) << 3
      words.append(UInt32(bitPattern: weight))
      next += 2
    }
    planes = planes[next...]
  }
}
