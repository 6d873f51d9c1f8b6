import Compression
import Testing

@testable import Recordings

@Suite struct ImportFormatTests {
  @Test(arguments: [
    ("a/p000001.psv", "", ImportFormat.psv), ("x.PSV.gz", "", .psv), ("r.hea", "", .wfdb),
    ("1.csv.zst", "Time,", .vitalDB),
    ("b_Numerics.csv", "Time [s], HR", .wfdb), ("export.xml", "", .appleHealth), ("obs.ndjson", "", .fhir),
    ("in.hl7", "", .hl7), ("feed", "\u{0B}MSH|^~", .hl7), ("feed", "\u{FEFF}<?xml", .appleHealth),
    ("feed", " {", .fhir),
    ("feed", "HR|O2Sat|Temp", .psv),
  ])
  func aFormatIsTold(name: String, first: String, format: ImportFormat) {
    #expect(ImportFormat.guess(name: name, first: Array(first.utf8)) == format)
  }

  @Test func whatCannotBeToldIsNotGuessed() {
    #expect(ImportFormat.guess(name: "feed", first: Array("hello".utf8)) == nil)
    #expect(ImportFormat.guess(name: "feed", first: []) == nil)
  }

  @Test func aStemIsTheNameWithoutItsEndings() {
    #expect(ImportFormat.stem("a/b/p1.psv.gz") == "p1")
    #expect(ImportFormat.stem("p1") == "p1")
    #expect(ImportFormat.stem(".psv") == ".psv")
  }

  @Test(arguments: ["r.csv", "r.csv.gz", "r.csv.zst"]) func packedOutputReadsBack(name: String) throws {
    let file = TemporaryFile(name)
    let lines = (0..<40_000).map { "p,d,2020-01-01T00:00:00.000Z,hr,\($0 % 300),/min\n" }
    let output = try PackedOutput(path: file.path)
    try output.write(Array("patient,device,time,code,value,unit\n".utf8))
    try output.write(Array(lines.joined().utf8))
    try output.write(Array(lines[0].utf8))
    try output.finish()
    let reader = RecordingReader([RecordingFile(path: file.path)], registry: registry)
    try reader.forEach { _ in true }
    #expect(reader.counts.cells == 40_001)
  }

  @Test func theSameBytesPackTheSame() throws {
    let bytes = Array("vigil".utf8)
    #expect(try GzipCompressor().compress(bytes) == GzipCompressor().compress(bytes))
  }
}
