import Configuration
import Foundation
import Testing
import VitalModel

/// The files the product ships.
enum RulesFolder {
  static let url = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Rules")

  static func text(_ path: String) throws -> String {
    try String(contentsOf: url.appendingPathComponent(path), encoding: .utf8)
  }

  static func registry() throws -> VitalRegistry {
    try VitalRegistryFile.parse(try text("vitals.yaml"), file: "vitals.yaml")
  }
}
