import Foundation
import TestSupport
import Testing

@testable import Recordings

/// What an output does to what already stands under its name.
@Suite struct RecordingOutputTests {
  private static func text(_ path: String) -> String? { try? String(contentsOfFile: path, encoding: .utf8) }

  private static func mode(_ path: String) throws -> Int {
    try #require(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int)
  }

  @Test func aFileIsThereWhenItIsWhole() throws {
    let folder = try TemporaryDirectory("output")
    let path = folder.file("out.csv")
    let output = try RecordingOutput(path: path)
    try output.write(Array("patient_id,time_s,hr\n".utf8))
    try output.write(Array("p,0,72\n".utf8))
    #expect(!FileManager.default.fileExists(atPath: path))
    try output.finish()
    let reader = RecordingReader([RecordingFile(path: path)], registry: registry)
    #expect(try reader.next()?.cells.count == 1)
    #expect(try RecordingOutputTests.mode(path) == 0o600)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["out.csv"])
  }

  @Test func anOutputGivenUpLeavesWhatWasThere() throws {
    let folder = try TemporaryDirectory("output")
    let path = try folder.write("before", to: "out.csv")
    do {
      let output = try RecordingOutput(path: path)
      try output.write(Array("half".utf8))
    }
    #expect(RecordingOutputTests.text(path) == "before")
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["out.csv"])
  }

  @Test func modesAndLinksStay() throws {
    let folder = try TemporaryDirectory("output")
    let path = try folder.write("before", to: "out.csv")
    try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: path)
    for (link, place) in [("link", "out.csv"), ("new", "made.csv")] {
      try FileManager.default.createSymbolicLink(atPath: folder.file(link), withDestinationPath: place)
      let output = try RecordingOutput(path: folder.file(link))
      try output.write(Array("after".utf8))
      try output.finish()
      #expect(try FileManager.default.destinationOfSymbolicLink(atPath: folder.file(link)) == place)
      #expect(RecordingOutputTests.text(folder.file(place)) == "after")
    }
    #expect(try RecordingOutputTests.mode(path) == 0o640)
  }

  @Test func aPipeIsWrittenToAndStays() throws {
    let folder = try TemporaryDirectory("output")
    let path = folder.file("pipe")
    #expect(mkfifo(path, 0o600) == 0)
    let end = open(path, O_RDONLY | O_NONBLOCK)
    defer { close(end) }
    let output = try RecordingOutput(path: path)
    try output.write(Array("through".utf8))
    try output.finish()
    var bytes = [UInt8](repeating: 0, count: 16)
    #expect(read(end, &bytes, 16) == 7 && bytes.starts(with: Array("through".utf8)))
    #expect(OutputTarget(path).kind == .other)
  }

  @Test func aGrowingFileGoesOnWhereItIsTold() throws {
    let folder = try TemporaryDirectory("output")
    let path = try folder.write("kept and cut", to: "alerts.jsonl")
    let output = try RecordingOutput(growing: path, from: 4)
    try output.write(Array(" on".utf8))
    #expect(RecordingOutputTests.text(path) == "kept on", "before it is finished")
    try output.finish()
    let anew = try RecordingOutput(growing: folder.file("new"), from: 0)
    try anew.finish()
    #expect(try RecordingOutputTests.mode(folder.file("new")) == 0o600)
  }

  @Test func whatCannotBeWrittenIsSaidSo() throws {
    let folder = try TemporaryDirectory("output")
    for path in [folder.path, folder.file("none/out.csv")] {
      let error = #expect(throws: RecordingError.self) { try RecordingOutput(path: path) }
      #expect(error?.description.contains("\(path): cannot be written") == true)
    }
    let full = try RecordingOutput(path: "/dev/full")
    let error = #expect(throws: RecordingError.self) { try full.write([1]) }
    #expect(error == .unwritable(file: "/dev/full", code: ENOSPC))
    #expect(error?.description == "/dev/full: cannot be written (no space left)")
  }

  @Test func twoNamesOfOneFileAreOne() throws {
    let folder = try TemporaryDirectory("output")
    let path = try folder.write("", to: "a")
    try FileManager.default.linkItem(atPath: path, toPath: folder.file("hard"))
    try FileManager.default.createSymbolicLink(atPath: folder.file("soft"), withDestinationPath: "later")
    func same(_ first: String, _ second: String) -> Bool {
      OutputTarget(folder.file(first)).identity == OutputTarget(folder.file(second)).identity
    }
    #expect(same("a", "hard") && same("a", "./a") && same("soft", "later"))
    #expect(!same("a", "later") && !same("later", "other"))
    #expect(OutputTarget(folder.path).kind == .folder && OutputTarget(folder.file("soft")).kind == .absent)
  }
}
