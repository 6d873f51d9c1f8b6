import Foundation
import Testing

/// House rules that no compiler checks.
@Suite struct TidyTests {
  /// Written in two pieces, so that this file does not break its own rule.
  private static let unfinished = ["TO" + "DO", "FIX" + "ME", "XX" + "X:"]
  private static let machinePaths = ["/wo" + "rk/", "/ho" + "me/", "/ro" + "ot/", "/Us" + "ers/", "/tmp/ba" + "sh"]

  @Test func theRepositoryIsRead() {
    #expect(House.built.code.count > 200)
    #expect(!House.built.text("Package.swift").isEmpty)
  }

  @Test func filesAreShortEnoughToHoldInOnesHead() {
    for text in House.built.code { #expect(text.lineCount <= 600, "\(text.path) has \(text.lineCount) lines") }
  }

  @Test func filesEndWithOneNewline() {
    for text in House.built.texts {
      #expect(text.content.hasSuffix("\n") && !text.content.hasSuffix("\n\n"), "\(text.path)")
    }
  }

  @Test func nothingIsLeftForLater() {
    for text in House.built.texts {
      for word in Self.unfinished { #expect(!text.content.contains(word), "\(text.path) says \(word)") }
      #expect(!text.path.hasSuffix("/Placeholder.swift"), "\(text.path)")
    }
  }

  @Test func noPathOfOneMachineIsWrittenDown() {
    for text in House.built.texts where text.path != "LICENSE" {
      for path in Self.machinePaths { #expect(!text.content.contains(path), "\(text.path) names \(path)") }
    }
  }

  @Test func namesThatMeanMiscellaneousAreNotUsed() {
    for text in House.built.below("Sources") where text.isSwift {
      let file = text.path.split(separator: "/").last.map { String($0.dropLast(".swift".count)) } ?? ""
      for word in ["Manager", "Helper", "Util", "Common", "Misc"] { #expect(!file.contains(word), "\(text.path)") }
    }
  }

  @Test func aModuleNeverSharesItsNameWithATypeInsideIt() {
    for text in House.built.below("Sources") where text.isSwift {
      for kind in ["struct", "enum", "class", "protocol", "actor", "typealias"] {
        let declares = text.lines.contains { line in
          let words = line.split(separator: " ")
          guard let at = words.firstIndex(of: Substring(kind)), at + 1 < words.count, !line.hasPrefix("//") else {
            return false
          }
          return words[at + 1].prefix { $0.isLetter || $0.isNumber } == text.room
        }
        #expect(!declares, "\(text.path) declares \(text.room)")
      }
    }
  }

  /// Ways to trap on what comes from outside, or to see a value as what it is not.
  @Test func checksStayOn() {
    for text in House.built.below("Sources") where text.isSwift {
      for (number, line) in text.lines.enumerated() {
        let code = Self.withoutComment(line)
        for word in ["try!", " as! ", "unsafeBitCast", "fatalError("] {
          #expect(!code.contains(word), "\(text.path):\(number + 1) uses \(word)")
        }
      }
    }
    #expect(!House.built.text("Package.swift").contains("unsafeFlags"))
    for text in House.built.texts where !text.path.hasPrefix("Tests/HouseTests/") && !text.path.hasPrefix("docs/") {
      #expect(!text.content.contains("-Ounchecked"), "\(text.path)")
    }
  }

  @Test func whatTheCompilerCannotCheckSaysWhy() {
    for text in House.built.below("Sources") where text.isSwift {
      let lines = text.lines
      for (number, line) in lines.enumerated() {
        let code = Self.withoutComment(line)
        guard code.contains("@unchecked Sendable") || code.contains("nonisolated(unsafe)") else { continue }
        let near = lines[max(0, number - 3)...number].joined(separator: "\n")
        #expect(near.contains("//"), "\(text.path):\(number + 1) gives no reason")
      }
    }
  }

  /// Nothing below layer 3 asks what time it is, opens a file or draws a random number: it is handed what it needs.
  @Test func theCoreIsHandedItsTimeAndItsChance() {
    let asks = [
      "clock_gettime", "gettimeofday", "ContinuousClock", "SuspendingClock", "Date()", "Date.now",
      "SystemRandomNumberGenerator", "arc4random", "getrandom", ".random(in:", ".randomElement()", ".shuffled()",
      "fopen(", "FileManager", "contentsOfFile", "getenv(", "ProcessInfo", "pthread_create", "print(",
    ]
    for text in House.built.below("Sources") where text.isSwift {
      guard let layer = HouseMap.layer(of: text.room), layer < 3, HouseMap.systemRooms[text.room] == nil else {
        continue
      }
      for (number, line) in text.lines.enumerated() {
        let code = Self.withoutComment(line)
        for word in asks where code.contains(word) && !code.contains("using: &") {
          Issue.record("\(text.path):\(number + 1) asks the system: \(word)")
        }
      }
    }
  }

  private static func withoutComment(_ line: Substring) -> Substring {
    guard let start = line.range(of: "//") else { return line }
    return line[..<start.lowerBound]
  }
}
