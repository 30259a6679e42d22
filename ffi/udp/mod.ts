export {
  type BoundSocket,
  openUdp,
  PREFERRED_PORT,
  type UdpBinding,
  UdpSocket,
  type UdpSocketOptions,
} from "./socket.ts";
export { UdpSocketSet } from "./socket_set.ts";
