import ChunkCoding
import Testing
import VitalModel

/// Chunks to the byte: what is on disk must stay readable, and every processor must write the same.
@Suite struct GoldenChunkTests {
  private let sheet = PlainCodecTests()

  private func check(_ rows: ChunkRows, _ states: StartStates, _ golden: String) throws {
    let codec = try ModelledCodec(states: states, names: ModelledCodecTests.vital)
    let bytes = try codec.encode(rows)
    #expect(sheet.hex(bytes) == golden)
    #expect(try sheet.unhex(golden).withUnsafeBytes { try ChunkDecoder().decode($0) } == rows)
  }

  /// As drawn in `docs/formats/chunk.md`.
  @Test func theChunkOfTheFormatPage() throws {
    let slots = [
      sampleSlot(code: 0, time: 1_700_000_000_000, mantissa: 72, sequence: 5),
      sampleSlot(code: 1, time: 1_700_000_000_000, mantissa: 365, exponent: -1, sequence: 5, flags: .endOfMessage),
      sampleSlot(code: 0, time: 1_700_000_001_000, mantissa: 74, sequence: 6),
      sampleSlot(code: 0, time: 1_700_000_002_000, mantissa: 73, sequence: 7, quality: 9_000),
    ]
    try check(rows(of: slots, firstPosition: 300), .untrained, "G0")
  }

  @Test func steadyVitalsFromTheBuiltInSet() throws {
    try check(ModelledCodecTests().steadyRows(60), .builtIn, "G1")
  }

  /// Stamps and delays that scatter, a gap, a column with gaps, digits stripped and listed.
  @Test func awkwardRows() throws {
    var generator = SplitMix64(state: 21)
    var rows = ModelledCodecTests().steadyRows(40)
    for index in rows.times.indices { rows.times[index] += Int64(index / 20 * 7000) + generator.bell(6) }
    for index in 0..<40 {
      for column in rows.columns.indices {
        rows.columns[column].cells[index].ingestTime = rows.times[index] + 30 + generator.bell(9)
        rows.columns[column].cells[index].sequence = Int64(index)
      }
      rows.columns[3].cells[index].exponent = Int8(index % 3) - 2
    }
    rows.columns[0].rows.removeSubrange(5..<30)
    rows.columns[0].cells.removeSubrange(5..<30)
    for index in rows.columns[2].cells.indices where rows.columns[2].cells[index].mantissa % 10 == 0 {
      rows.columns[2].cells[index].mantissa /= 10
      rows.columns[2].cells[index].exponent = 0
    }
    try check(rows, .builtIn, "G2")
  }

  /// A start from set 0 and one from set 1 with the same rows differ in size only.
  @Test func oneRow() throws {
    try check(ModelledCodecTests().steadyRows(1), .untrained, "G3")
  }
}
