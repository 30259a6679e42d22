/**
 * Attaches the program of `filter_program.ts` to a socket. The kernel exchanges a filter for another at once; a program
 * that it refuses (it limits their memory by net.core.optmem_max) leaves the old one, which may be too strict by now:
 * then a shorter one takes its place, or none.
 */
import { errno } from "../errno.ts";
import { libc } from "../libc.ts";
import { SOCK_FILTER, SOCK_FPROG } from "../structs.ts";
import { assembleFilter } from "./filter_program.ts";
import { SOL_SOCKET } from "./options.ts";
import type { IpFamily } from "../../mod/packet/address.ts";
import { OPEN_SCREEN, type Screen } from "../../mod/packet/screen.ts";

export const SO_ATTACH_FILTER = 26, SO_DETACH_FILTER = 27;

/** Filters a UDP socket by the screen. 0, or the errno: the socket then has no filter, or one for an open screen. */
export function attachFilter(fd: number, family: IpFamily, screen: Screen): number {
  const error = attach(fd, assembleFilter(screen, family));
  if (error === 0) return 0;
  // Old and new count together while they are exchanged.
  detach(fd);
  const stillWrong = attach(fd, assembleFilter(screen, family));
  if (stillWrong !== 0) attach(fd, assembleFilter(OPEN_SCREEN, family));
  return stillWrong;
}

function attach(fd: number, instructions: Uint8Array<ArrayBuffer>): number {
  const program = new Uint8Array(SOCK_FPROG.size);
  const view = new DataView(program.buffer);
  view.setUint16(SOCK_FPROG.length, instructions.length / SOCK_FILTER.size, true);
  view.setBigUint64(
    SOCK_FPROG.filter,
    BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(instructions))),
    true,
  );
  return libc().setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, program, program.length) === 0 ? 0 : errno();
}

function detach(fd: number): void {
  libc().setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, new Uint8Array(4), 4);
}
